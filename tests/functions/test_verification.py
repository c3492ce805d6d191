"""Candidates that show what they should, and such that do not: real servers over good and spoiled snapshots."""

import http.server
import io
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bigpanda_mlflow import candidate
from bigpanda_mlflow.candidate import MAX_BODY, Candidate, OutOfTime, Unanswered
from bigpanda_mlflow.errors import Transient
from bigpanda_mlflow.verification import Verdict, Verification
from mlflow_on_demand.answers import answers_key, find_answers, pack_answers
from mlflow_on_demand.ingest import IngestRequest, ingest_task
from mlflow_on_demand.mlflow_facts import mlflow_version
from mlflow_on_demand.record_answers import record_answers
from mlflow_on_demand.snapshot import Manifest, Objective, open_snapshot_store
from support.answering import answering
from support.hpo_files import NOON, TASK, Point, name, run_id, tarball, write_task
from support.spoiled import spoil
from support.task_server import TaskServer, serving

PATIENCE = 120.0
SHORT = 2.0
GOOD = Verdict(ok=True)
RUNS, HISTORY = "runs/search in 30456789: runs", "metrics/get-history-bulk-interval of loss: metrics"
OTHER_METRIC = "UPDATE latest_metrics SET value = 1.1 WHERE run_uuid LIKE '%2'"


def point(number: int) -> Point:
    losses = "".join(f"{NOON + step} {number / 2 + 1 / (step + 1)} {step}\n" for step in range(5))
    return Point(
        run_id(number),
        f"run-{number}",
        start=NOON + number,
        params={"lr": str(number)},
        metrics={"loss": losses},
        artifacts={"note.txt": b"of run %d" % number},
    )


def publish(folder: Path, runs: int) -> Manifest:
    new = [number for number in range(1, runs + 1) if not (folder / "tarballs" / name(number)).exists()]
    artifacts = write_task(folder / "tarballs", {name(number): tarball(point(number)) for number in new})
    request = IngestRequest(TASK, (artifacts,), (folder / "store").as_uri(), Objective("loss", "minimize"))
    manifest = ingest_task(request).manifest
    record_answers(open_snapshot_store((folder / "store").as_uri(), TASK, manifest.schema_revision), manifest)
    return manifest


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("task")


@pytest.fixture(scope="module")
def manifest(folder: Path) -> Manifest:
    return publish(folder, 4)


@pytest.fixture(scope="module")
def good(folder: Path, manifest: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TaskServer]:
    with serving((folder / "store").as_uri(), str(tmp_path_factory.mktemp("scratch"))) as server:
        yield server


def verify(
    server: TaskServer, store: Path, version: str = "", seconds: float = PATIENCE, host: str | None = None
) -> Verdict:
    verification = Verification(store.as_uri())
    url = f"http://127.0.0.1:{server.port}"
    deadline = time.monotonic() + seconds
    return verification(url, TASK, version or mlflow_version(), deadline, host or server.netloc)


def test_a_good_candidate_is_waited_for_and_passes(good: TaskServer, folder: Path) -> None:
    assert verify(good, folder / "store") == GOOD


@pytest.mark.parametrize("host", ["candidate-task-30456789.bigpanda.svc.cluster.local", "127.0.0.1:8080"])
def test_it_can_be_asked_from_within_the_cluster(good: TaskServer, folder: Path, host: str) -> None:
    assert verify(good, folder / "store", host=host) == GOOD


def test_another_version_is_told(good: TaskServer, folder: Path) -> None:
    said = f"the candidate is MLflow {mlflow_version()} instead of 3.99.0"
    assert verify(good, folder / "store", "3.99.0") == Verdict(ok=False, reasons=(said,))


def as_another_release(store: Path, manifest: Manifest) -> None:
    """Have a snapshot count as that of MLflow 3.0.0, with its recording, of another schema."""
    former = store / str(TASK) / manifest.schema_revision
    found = find_answers(
        open_snapshot_store(store.as_uri(), TASK, manifest.schema_revision), manifest, mlflow_version()
    )
    assert found is not None
    former.rename(former.with_name("another"))
    target = open_snapshot_store(store.as_uri(), TASK, "another")
    target.write(answers_key(manifest.digest, "3.0.0"), io.BytesIO(pack_answers(manifest.digest, "3.0.0", found)))
    target.delete(answers_key(manifest.digest, mlflow_version()))


@pytest.mark.parametrize(
    ("statement", "reasons"),
    [
        ("", []),
        (
            f"UPDATE runs SET lifecycle_stage = 'deleted' WHERE run_uuid = '{run_id(3)}'",
            [f'runs/get of {run_id(3)}: run.info: lifecycle_stage is "deleted" instead of "active"'],
        ),
    ],
)
def test_a_candidate_may_have_got_further_tarballs(tmp_path: Path, statement: str, reasons: list[str]) -> None:
    as_another_release(tmp_path / "store", publish(tmp_path, 3))
    manifest = publish(tmp_path, 4)
    store = tmp_path / "store"
    shown = spoil(store, tmp_path / "spoiled", manifest, statement) if statement else store.as_uri()
    with serving(shown, str(tmp_path)) as server:
        assert verify(server, store) == Verdict(ok=not reasons, reasons=tuple(reasons))


def test_a_candidate_that_lacks_tarballs_is_asked_again_later(good: TaskServer, folder: Path, tmp_path: Path) -> None:
    as_another_release(tmp_path / "store", publish(tmp_path, 5))
    shutil.copytree(folder / "store", tmp_path / "store", dirs_exist_ok=True)
    with pytest.raises(Transient, match="does not show all tarballs yet that the page shows"):
        verify(good, tmp_path / "store")


def test_a_store_that_cannot_be_read_says_nothing_of_the_candidate(good: TaskServer) -> None:
    verification = Verification("nowhere://snapshots")
    with pytest.raises(Transient, match=f"the snapshots of task {TASK} cannot be read: no store answers"):
        verification(f"http://127.0.0.1:{good.port}", TASK, mlflow_version(), time.monotonic() + PATIENCE)


@pytest.mark.parametrize(
    ("statement", "reasons"),
    [
        (
            OTHER_METRIC,
            [f"{RUNS}[1].data.metrics: loss is 1.1 instead of 1.2"],
        ),
        (
            "UPDATE metrics SET value = 0.25 WHERE run_uuid LIKE '%2' AND step = 3",
            [f"{HISTORY}[8]: value is 0.25 instead of 1.25"],
        ),
        ("DELETE FROM metrics WHERE run_uuid LIKE '%2' AND step = 3", [f"{HISTORY}: 19 instead of 20"]),
        (
            "UPDATE runs SET lifecycle_stage = 'deleted' WHERE run_uuid LIKE '%4'",
            [f"{RUNS}: 3 instead of 4", f"number of runs of task {TASK}: 3 instead of 4"],
        ),
    ],
)
def test_a_spoiled_database_is_told(
    folder: Path, manifest: Manifest, tmp_path: Path, statement: str, reasons: list[str]
) -> None:
    store = spoil(folder / "store", tmp_path / "spoiled", manifest, statement)
    with serving(store, str(tmp_path)) as server:
        assert verify(server, folder / "store") == Verdict(ok=False, reasons=tuple(reasons))


def test_good_recordings_do_not_hide_a_spoiled_database(folder: Path, manifest: Manifest, tmp_path: Path) -> None:
    store = spoil(folder / "store", tmp_path / "spoiled", manifest, OTHER_METRIC, keep_answers=True)
    with serving(store, str(tmp_path)) as server:
        [reason] = verify(server, folder / "store").reasons
    assert reason == f"{RUNS}[1].data.metrics: loss is 1.1 instead of 1.2"


def test_a_missing_artifact_is_told(
    folder: Path, manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidate, "_AGAIN_SECONDS", 1.0)
    shutil.copytree(folder / "store", tmp_path / "spoiled")
    (tmp_path / "spoiled" / str(TASK) / manifest.schema_revision / manifest.bundle.name).unlink()
    with serving((tmp_path / "spoiled").as_uri(), str(tmp_path)) as server:
        [reason] = verify(server, folder / "store").reasons
    assert reason == f"artifact note.txt of run {run_id(1)}: it answers 503"


def test_who_is_never_ready_is_told_in_time(folder: Path, tmp_path: Path) -> None:
    with serving((tmp_path / "nothing").as_uri(), str(tmp_path)) as server:
        server.wait_for("waiting_for_snapshot")
        [reason] = verify(server, folder / "store", seconds=SHORT).reasons
        assert reason == "the candidate was not ready in time (waiting_for_snapshot)"
        # Where the task has no results, it is just what it should show.
        assert verify(server, tmp_path / "nothing") == GOOD
        server.end()
        [reason] = verify(server, folder / "store", seconds=SHORT).reasons
    assert reason == "the candidate was not ready in time (it does not answer (ConnectionError))"


class Handler(http.server.BaseHTTPRequestHandler):
    """A candidate that wakes at the third request, and then goes on for ever."""

    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        self.send_response(503 if self.asked < 3 else 200)
        self.end_headers()
        if self.path == "/endless":
            while True:
                try:
                    self.wfile.write(bytes(2**20))
                except OSError:
                    return
        self.wfile.write(b"awake")

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 (the library's name)
        pass


@contextmanager
def waking() -> Iterator[str]:
    Handler.asked = 0
    with answering(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        yield f"http://127.0.0.1:{server.server_port}"


def test_who_wakes_is_asked_again_and_nobody_is_listened_to_for_ever() -> None:
    with waking() as url, Candidate(url, None, time.monotonic() + PATIENCE) as patient:
        assert patient.ask("GET", "/").body == b"awake"
        assert Handler.asked == 3
        with pytest.raises(Unanswered, match=f"its answer is larger than {MAX_BODY} bytes"):
            patient.ask("GET", "/endless")
        with Candidate(url, None, time.monotonic()) as late, pytest.raises(OutOfTime):
            late.ask("GET", "/")
