"""A pod that is awake goes over to newer snapshots: readers meanwhile get wholly the old one or wholly the new one."""

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mlflow_on_demand.ingest import IngestRequest, ingest_task
from mlflow_on_demand.landing import SEARCH_RUNS, Asked, plan_landing
from mlflow_on_demand.record_answers import record_answers
from mlflow_on_demand.snapshot import Manifest, Objective, open_snapshot_store
from support.held_store import snapshot_folder
from support.hpo_files import NOON, TASK, Point, name, run_id, tarball, write_task
from support.task_server import TaskServer, serving

RUNS = (1, 2, 3)
SWAPS = 4
READERS = 6


def point(number: int, version: int) -> Point:
    """A run in which whatever can be read says `version`."""
    return Point(
        run_id(number),
        f"run-{number}",
        params={"version": str(version)},
        tags={"version": str(version)},
        metrics={"loss": "".join(f"{NOON + step} {version} {step}\n" for step in range(200))},
        artifacts={"version.txt": str(version).encode() * 100_000},
    )


def publish(folder: Path, version: int) -> Manifest:
    artifacts = write_task(folder / "tarballs", {name(number): tarball(point(number, version)) for number in RUNS})
    request = IngestRequest(TASK, (artifacts,), (folder / "store").as_uri(), Objective("loss", "minimize"))
    return ingest_task(request).manifest


def reads(manifest: Manifest) -> tuple[Asked, ...]:
    """What the landing view asks (its search was recorded for the first version), and what no recording answers."""
    (experiment,) = manifest.experiments
    ids = "&".join(f"run_ids={run_id(number)}" for number in RUNS)
    return (
        plan_landing(experiment, manifest.objective)[-1],
        Asked(SEARCH_RUNS, body=json.dumps({"experiment_ids": [experiment.id], "max_results": 7}).encode()),
        Asked("/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval", f"{ids}&metric_key=loss&max_results=320"),
        Asked("/get-artifact", f"run_uuid={run_id(1)}&path=version.txt"),
    )


def ask(server: TaskServer, asked: Asked) -> tuple[int, bytes]:
    path = f"{asked.path}?{asked.query}" if asked.query else asked.path
    answer = server.ask(asked.method, path, {"Content-Type": "application/json"}, content=asked.body or None)
    return answer.status_code, answer.content


def shows(server: TaskServer, manifest: Manifest) -> bool:
    return bool(server.ask("GET", "/health").json().get("snapshot") == manifest.digest)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[TaskServer, Manifest]]:
    manifest = publish(tmp_path, 1)
    store = (tmp_path / "store").as_uri()
    assert record_answers(open_snapshot_store(store, TASK, manifest.schema_revision), manifest)
    (tmp_path / "scratch").mkdir()
    with serving(store, str(tmp_path / "scratch")) as server:
        server.wait_for("ready")
        yield server, manifest


def test_no_read_fails_or_is_torn_while_snapshots_change(server: tuple[TaskServer, Manifest], tmp_path: Path) -> None:
    task, manifest = server
    questions = reads(manifest)
    whole = {question: [ask(task, question)] for question in questions}
    got: dict[Asked, set[tuple[int, bytes]]] = {question: set() for question in questions}
    over = threading.Event()

    def read(first: int) -> int:
        for count, question in enumerate(itertools.islice(itertools.cycle(questions), first, None)):
            got[question].add(ask(task, question))
            if over.is_set():
                return count
        raise AssertionError

    with ThreadPoolExecutor(READERS) as pool:
        readers = [pool.submit(read, number) for number in range(READERS)]
        try:
            for version in range(2, SWAPS + 2):
                published = publish(tmp_path, version)
                task.until(lambda: shows(task, published))  # noqa: B023 (called before the next turn)
                for question in questions:
                    whole[question].append(ask(task, question))
        finally:
            over.set()
        assert all(reader.result() > 0 for reader in readers)
    for question in questions:
        assert [status for status, _ in whole[question]] == [200] * (SWAPS + 1)
        assert len(set(whole[question])) == SWAPS + 1, f"every version answers {question.path} otherwise"
        assert got[question] == set(whole[question])
    # Databases that nobody can ask any more are gone.
    task.until(lambda: len(list((tmp_path / "scratch").rglob("snapshot-*.db"))) == 1)


def break_database(folder: Path, manifest: Manifest) -> None:
    (folder / manifest.database.name).write_bytes(b"not what the manifest names")


def break_manifest(folder: Path, _: Manifest) -> None:
    (folder / "manifest.json").write_bytes(b"{")


@pytest.mark.parametrize("damage", [break_database, break_manifest])
def test_a_broken_snapshot_leaves_the_old_one_shown(
    server: tuple[TaskServer, Manifest], tmp_path: Path, damage: Callable[[Path, Manifest], None]
) -> None:
    task, manifest = server
    questions = reads(manifest)
    before = [ask(task, question) for question in questions]
    # Made elsewhere and put here broken, so that no look falls into the moment in which it is whole.
    (tmp_path / "elsewhere").mkdir()
    broken = publish(tmp_path / "elsewhere", 2)
    source = snapshot_folder(tmp_path / "elsewhere" / "store", broken)
    target = snapshot_folder(tmp_path / "store", manifest)
    damage(source, broken)
    for ref in (broken.database, broken.bundle, broken.summary):
        (source / ref.name).replace(target / ref.name)
    (source / "manifest.json").replace(target / "manifest.json")

    task.until(lambda: any("not shown" in entry["message"] for entry in task.log))
    assert [ask(task, question) for question in questions] == before
    assert task.ask("GET", "/ready").json()["snapshot"] == manifest.digest
    mended = publish(tmp_path, 3)
    task.until(lambda: shows(task, mended))
    assert all(status == 200 for status, _ in (ask(task, question) for question in questions))


def test_a_snapshot_that_lost_all_runs_is_not_shown(server: tuple[TaskServer, Manifest], tmp_path: Path) -> None:
    task, manifest = server
    for path in (tmp_path / "tarballs").iterdir():
        path.unlink()
    request = IngestRequest(TASK, ((tmp_path / "tarballs").as_uri(),), (tmp_path / "store").as_uri())
    assert ingest_task(request).manifest.runs == 0
    task.until(lambda: any("no run" in entry.get("reason", "") for entry in task.log))
    assert task.ask("GET", "/ready").json()["snapshot"] == manifest.digest
