"""Twelve pages of real MLflow processes go from release 3.17 to 3.18 and back, though everything dies meanwhile.

One of them has data that the new release shows wrongly: it alone stays behind. The tests tell one story and run in
order; while it goes on, somebody looks at one of the pages all the time.
"""

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from bigpanda_laptop.deploy import METRICS
from bigpanda_mlflow.golden import find_snapshots
from bigpanda_mlflow.rollout_state import RolloutPhase, ServicePhase
from bigpanda_mlflow.traffic import current_revision
from mlflow_on_demand.mlflow_facts import mlflow_version
from support.fleet import NEW, PATIENCE, STABLE, Fleet, Pings, Viewer, running_fleet
from support.hpo_files import Point, run_id, tarball
from support.laptop import until
from support.releases import ingest_with, other_python, other_version
from support.spoiled import spoil_in_place

TASKS = range(101, 113)
BROKEN, WATCHED, LATE = 105, 112, 113
GOOD = [task for task in TASKS if task != BROKEN]
RUNS = ["first", "second"]
DATA = tarball(
    Point(run_id(1), "first", artifacts={"note.txt": b"hello"}),
    Point(run_id(2), "second", metrics={"loss": "1795000000000 0.75 0\n"}),
)
OTHER_METRIC = "UPDATE latest_metrics SET value = 0.625 WHERE run_uuid LIKE '%2'"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Twelve pages, asleep, each with a snapshot of the present release's."""
    with running_fleet(tmp_path_factory.mktemp("fleet")) as fleet:
        for task in TASKS:
            fleet.show(task, DATA)
        for task in TASKS:
            until(lambda: is_shown(fleet, task), PATIENCE, f"task {task} is ingested")  # noqa: B023
        break_data(fleet)
        yield fleet


@pytest.fixture(scope="module")
def viewer(fleet: Fleet) -> Iterator[Viewer]:
    with Viewer(fleet, WATCHED, RUNS) as viewer:
        until(lambda: viewer.seen, PATIENCE, "the page is awake")
        yield viewer


@pytest.fixture(scope="module", autouse=True)
def pings(fleet: Fleet) -> Iterator[Pings]:
    with Pings(fleet) as pings:
        yield pings


def is_shown(fleet: Fleet, task: int) -> bool:
    service = fleet.service(f"task-{task}")
    return bool(service and current_revision(service)) and any((fleet.snapshots / str(task)).glob("*/manifest.json"))


def break_data(fleet: Fleet) -> None:
    """The new release's own snapshot of a task is there already, and a value in it is not what it was."""
    source, store = f"s3://{METRICS}/{BROKEN}/", "s3://snapshots"
    ingest_with(other_python(), source, store, "loss", BROKEN, **fleet.s3.environment)
    [manifest] = [
        one for one, _ in find_snapshots(fleet.snapshots.as_uri(), BROKEN) if one.mlflow_version == other_version()
    ]
    spoil_in_place(fleet.snapshots, manifest, OTHER_METRIC)


def await_phase(fleet: Fleet, *phases: RolloutPhase, cohort: int = 0) -> None:
    def is_there() -> bool:
        record = fleet.find_record()
        if record is None:
            return False
        assert record.phase is not RolloutPhase.HALTED, record.reason
        return record.phase in phases and record.cohort >= cohort

    until(is_there, PATIENCE, f"the rollout is {' or '.join(phases)}, from cohort {cohort} on")


def at_a_random_moment(seconds: float) -> None:
    time.sleep(random.uniform(0, seconds))


def operate(fleet: Fleet, *arguments: str) -> tuple[int, dict[str, Any]]:
    """What the operators' program says in JSON, and its exit code."""
    program = str(Path(sys.executable).with_name("bigpanda-mlflow"))
    environment = {"KUBECONFIG": str(fleet.kubeconfig), "HOME": str(fleet.state)}
    done = subprocess.run(
        [program, *arguments, "--json"], env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_the_fleet_goes_over_though_everything_dies_meanwhile(fleet: Fleet, viewer: Viewer) -> None:
    data = {"image": NEW, "version": other_version()}
    assert fleet.send("front-token", kind="ch.cern.bigpanda.image.published", data=data).status_code == 403
    assert fleet.send("ops-token", kind="ch.cern.bigpanda.image.published", data=data).status_code == 202
    await_phase(fleet, RolloutPhase.ROLLING, cohort=1)
    at_a_random_moment(10)
    fleet.kill("rollout")  # what it asked of others goes on, and one minute long its Lease is held by nobody
    at_a_random_moment(3)
    with viewer.away():
        fleet.restart()
    await_phase(fleet, RolloutPhase.COMPLETING)
    assert {task for task in TASKS if phase_of(fleet, task) is ServicePhase.PROMOTED} == set(GOOD)


def phase_of(fleet: Fleet, task: int) -> ServicePhase | None:
    state = fleet.stand(task)
    return None if state is None else state.phase


def test_eleven_answer_from_a_revision_of_the_new_image(fleet: Fleet, viewer: Viewer) -> None:
    for task in GOOD:
        state = fleet.stand(task)
        assert state is not None
        assert (fleet.image(state.current), fleet.image(state.previous)) == (NEW, STABLE)
        assert set(fleet.revisions(f"task-{task}")) == {state.current, state.previous}
    expected = {task: (other_version(), RUNS) for task in GOOD} | {BROKEN: (mlflow_version(), RUNS)}
    assert answers(fleet, *TASKS) == expected
    until(lambda: viewer.seen == [mlflow_version(), other_version()], PATIENCE, "its viewer sees the new release")
    assert viewer.faults == []


def answers(fleet: Fleet, *tasks: int) -> dict[int, tuple[str, list[str]]]:
    """What each page says that it is, and the runs that it shows; two awake at a time."""
    with ThreadPoolExecutor(2) as viewers:
        return dict(viewers.map(lambda task: (task, (fleet.version(task), fleet.runs(task))), tasks))


def test_the_one_at_fault_says_why_it_stayed(fleet: Fleet) -> None:
    state = fleet.stand(BROKEN)
    assert state is not None
    assert state.phase is ServicePhase.FAILED
    assert f"runs/search in {BROKEN}: runs[1].data.metrics: loss is 0.625 instead of 0.75" in str(state.reason)
    assert fleet.revisions(f"task-{BROKEN}") == [state.current]
    assert fleet.image(state.current) == STABLE


def test_the_functions_have_changed_over_and_a_new_task_gets_the_new_image(fleet: Fleet) -> None:
    fleet.kill("rollout")
    for name in ("ingest", "sweep"):
        service = fleet.service(name)
        assert service is not None
        assert fleet.image(current_revision(service)) == NEW
    fleet.show(LATE, DATA)
    until(lambda: is_shown(fleet, LATE), PATIENCE, f"task {LATE} is ingested")
    [manifest] = [one for one, _ in find_snapshots(fleet.snapshots.as_uri(), LATE)]
    assert manifest.mlflow_version == fleet.version(LATE) == other_version()
    assert fleet.runs(LATE) == RUNS


def test_the_command_line_tells_the_same(fleet: Fleet) -> None:
    await_phase(fleet, RolloutPhase.COMPLETED)
    code, said = operate(fleet, "rollout", "status")
    assert (code, said["phase"], said["image"], said["version"]) == (1, "completed", NEW, other_version())
    assert (said["services"], said["promoted"], said["failed"]) == (13, 12, 1)
    assert said["phases"] == {"promoted": 11, "failed": 1}
    [failure] = said["failures"]
    state = fleet.stand(BROKEN)
    assert state is not None
    assert failure == {"jeditaskid": BROKEN, "phase": "failed", "reason": state.reason}


def test_a_rollback_is_one_patch_a_page(fleet: Fleet, viewer: Viewer) -> None:
    before = {task: fleet.page(task)["metadata"]["generation"] for task in (*TASKS, LATE)}
    code, said = operate(fleet, "rollout", "rollback")
    assert (code, said["type"]) == (0, "ch.cern.bigpanda.rollout.command")
    await_phase(fleet, RolloutPhase.ROLLED_BACK)
    for task in (*TASKS, LATE):
        service = fleet.page(task)
        assert service["metadata"]["generation"] == before[task] + (task != BROKEN)
        assert phase_of(fleet, task) is (ServicePhase.FAILED if task == BROKEN else ServicePhase.RETURNED)
        [revision] = fleet.revisions(f"task-{task}")
        assert (fleet.image(revision), revision == f"task-{task}-00001") == (STABLE, task != LATE)
    assert answers(fleet, *TASKS, LATE) == {task: (mlflow_version(), RUNS) for task in (*TASKS, LATE)}
    assert viewer.faults == []
