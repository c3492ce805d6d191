"""How a rollout is shown, from records and Services in a real API server; its steps are tests of the functions."""

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bigpanda_mlflow import labels
from bigpanda_mlflow.context import Context
from bigpanda_mlflow.events import EventKey, ImagePublished
from bigpanda_mlflow.names import service_name
from bigpanda_mlflow.rollout_state import (
    Rollout,
    RolloutPhase,
    ServicePhase,
    ServiceState,
    make_rollout,
    put_rollout,
    write_state,
)
from embedded.kit import Cluster as Runtime
from ops.conftest import Done, run
from support.scenes import ask

IMAGE = "registry.example/mlflow@sha256:" + "1" * 64
Run = Callable[..., Done]


@pytest.fixture
def status(runtime: Runtime, context: Context) -> Run:
    """`rollout …` on the runtime, whose records and pages end with the test."""

    def call(*arguments: str) -> Done:
        return run("--kubeconfig", str(runtime.endpoints["kubeconfig"]), "rollout", *arguments)

    context.cluster.change_rollouts(lambda _: {})
    return call


def begin(context: Context, phase: RolloutPhase, **fields: Any) -> Rollout:
    """A rollout's record, written."""
    image = ImagePublished(image=IMAGE, version="3.18.0")
    rollout = make_rollout(EventKey(context.now(), "i1"), image, "old", context.now())
    return write(context, replace(rollout, phase=phase, **fields))


def write(context: Context, rollout: Rollout) -> Rollout:
    context.cluster.change_rollouts(lambda data: put_rollout(data, rollout))
    return rollout


def stand(context: Context, rollout: Rollout, task: int, phase: ServicePhase, reason: str | None = None) -> None:
    """A page that is there in the rollout."""
    ask(context, task)
    service = context.cluster.get_service(service_name(task))
    assert service is not None
    state = ServiceState(rollout.name, phase, context.now(), reason=reason)
    service["metadata"]["annotations"][labels.ROLLOUT] = write_state(state)
    context.cluster.replace_service(service)


def test_without_any_rollout(status: Run) -> None:
    assert status("status") == Done(0, "No image was ever rolled out here.\n", "")
    assert status("status", "--json").stdout == "null\n"
    assert status("pause") == Done(1, "", "bigpanda-mlflow: there is no rollout\n")
    assert status("status", "--rollout", "x").returncode == 1


def test_it_says_how_far_it_is_and_what_failed(context: Context, status: Run) -> None:
    rollout = begin(context, RolloutPhase.ROLLING, services=3, cohort=1)
    stand(context, rollout, 1, ServicePhase.PROMOTED)
    stand(context, rollout, 2, ServicePhase.CANDIDATE)
    assert status("status").returncode == 0
    stand(context, rollout, 3, ServicePhase.FAILED, "the candidate answers with 1 run instead of 2")
    said = status("status")
    assert said.returncode == 1
    assert said.stdout.splitlines() == [
        f"{rollout.name}: MLflow 3.18.0, {IMAGE}",
        "rolling, cohort 2; of 3 pages: 1 candidate, 1 promoted, 1 failed",
        "task 3 failed: the candidate answers with 1 run instead of 2",
    ]
    found = json.loads(status("status", "--json", "--rollout", rollout.name).stdout)
    assert (found["phase"], found["cohort"], found["well"]) == ("rolling", 2, False)
    assert found["phases"] == {"candidate": 1, "promoted": 1, "failed": 1}
    assert [failure["jeditaskid"] for failure in found["failures"]] == [3]


@pytest.mark.parametrize(
    ("phase", "code"),
    [
        (RolloutPhase.SOAKING, 0),
        (RolloutPhase.COMPLETED, 0),
        (RolloutPhase.SUPERSEDED, 0),
        (RolloutPhase.HALTING, 1),
        (RolloutPhase.HALTED, 1),
        (RolloutPhase.ROLLED_BACK, 1),
        (RolloutPhase.ABORTED, 1),
    ],
)
def test_its_exit_code_tells_whether_it_went_well(
    context: Context, status: Run, phase: RolloutPhase, code: int
) -> None:
    begin(context, phase, reason="more than 1 of 3 failed")
    said = status("status")
    assert said.returncode == code
    assert "why: more than 1 of 3 failed" in said.stdout


def test_watching_ends_with_the_rollout(context: Context, status: Run) -> None:
    rollout = begin(context, RolloutPhase.ROLLING, services=1)
    mover = threading.Timer(3, lambda: write(context, replace(rollout, phase=RolloutPhase.COMPLETED, promoted=1)))
    mover.start()
    said = status("status", "--watch", "--json")
    mover.join()
    assert said.returncode == 0
    assert [json.loads(line)["phase"] for line in said.stdout.splitlines()] == ["rolling", "completed"]


def test_a_command_that_makes_no_sense_is_not_sent(context: Context, status: Run) -> None:
    begin(context, RolloutPhase.COMPLETED)
    said = status("pause")
    assert said == Done(1, "", "bigpanda-mlflow: pause means nothing to a rollout that is completed\n")
