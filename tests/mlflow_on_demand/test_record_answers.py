"""Answers recorded by the real MLflow over the real sample, against what it answers when it is awake."""

import json
import logging
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from bigpanda_laptop.sample import OBJECTIVE, TARBALLS
from mlflow_on_demand.answers import MAX_BYTES, Answer, answers_key, find_answers, pack_answers
from mlflow_on_demand.errors import AnswersError
from mlflow_on_demand.ingest import IngestRequest, ingest_task
from mlflow_on_demand.landing import SEARCH_RUNS, Asked
from mlflow_on_demand.mlflow_facts import mlflow_version
from mlflow_on_demand.record_answers import MAX_ANSWERS, collect_answers, record_answers
from mlflow_on_demand.snapshot import Manifest, Objective, open_snapshot_store
from mlflow_on_demand.store import Store
from support.held_store import HeldStore, holding_database, snapshot_folder
from support.hpo_files import TASK
from support.snapshots import MANIFEST
from support.task_server import TaskServer, serving

UNRECORDED = "/ajax-api/2.0/mlflow/experiments/search?max_results=25"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sample")


@pytest.fixture(scope="module")
def manifest(folder: Path) -> Manifest:
    objective = Objective(OBJECTIVE["metric"], OBJECTIVE["direction"])
    return ingest_task(IngestRequest(TASK, (TARBALLS.as_uri(),), (folder / "plain").as_uri(), objective)).manifest


def store_of(folder: Path, manifest: Manifest) -> Store:
    return open_snapshot_store(folder.as_uri(), TASK, manifest.schema_revision)


@pytest.fixture(scope="module")
def recorded(folder: Path, manifest: Manifest) -> dict[str, Answer]:
    """The answers, recorded into the folder `recorded`."""
    shutil.copytree(folder / "plain", folder / "recorded")
    store = store_of(folder / "recorded", manifest)
    assert record_answers(store, manifest)
    found = find_answers(store, manifest, mlflow_version())
    assert found is not None
    return found


def ask(server: TaskServer, key: str, **headers: str) -> httpx.Response:
    method, path, query, body = json.loads(key)
    params = [(name, value) for name, value in query]
    return server.ask(method, path, headers, params=params, **({} if body is None else {"json": body}))


def test_every_experiments_landing_view_is_recorded(recorded: dict[str, Answer], manifest: Manifest) -> None:
    paths = [json.loads(key)[1].rpartition("/")[2] for key in recorded]
    assert {path: paths.count(path) for path in paths} == {
        "server-info": 1,
        "graphql": 2,
        "get": 2,
        "search-datasets": 2,
        "search": 4,  # runs, logged models
        "get-history-bulk-interval": 2 * len(manifest.metrics),
    }


def test_every_recorded_answer_is_the_live_one(folder: Path, recorded: dict[str, Answer], tmp_path: Path) -> None:
    with serving((folder / "plain").as_uri(), str(tmp_path)) as server:
        server.wait_for("ready")
        for key, answer in recorded.items():
            live = ask(server, key)
            assert (live.status_code, live.headers["content-type"]) == (answer.status, answer.content_type)
            assert live.content == answer.body()
            assert "content-encoding" not in live.headers


@pytest.fixture
def held(folder: Path, recorded: dict[str, Answer], manifest: Manifest, tmp_path: Path) -> Iterator[HeldStore]:
    with holding_database(folder / "recorded", tmp_path / "held", manifest) as held:
        yield held


def test_they_are_answered_before_mlflow_is_there_and_after(
    held: HeldStore, recorded: dict[str, Answer], tmp_path: Path
) -> None:
    def assert_answered(server: TaskServer) -> None:
        for key, answer in recorded.items():
            for encoding, sent in (("gzip, br", "gzip"), ("identity", None), ("", None)):
                reply = ask(server, key, **{"Accept-Encoding": encoding})
                assert (reply.status_code, reply.headers["content-type"]) == (answer.status, answer.content_type)
                assert (reply.headers.get("content-encoding"), reply.content) == (sent, answer.body())
                assert reply.headers["x-content-type-options"] == "nosniff"

    with serving(held.store.as_uri(), str(tmp_path)) as server, ThreadPoolExecutor(1) as thread:
        waits = thread.submit(server.ask, "GET", UNRECORDED)
        assert_answered(server)
        assert server.stage() == "loading"
        assert not waits.done()
        refused = server.ask("POST", "/graphql", json={"query": "mutation { x }"})
        assert refused.status_code == 403
        held.release()
        assert {one["name"] for one in waits.result().json()["experiments"]} == {"digits_0_4", "digits_5_9"}
        server.wait_for("ready")
        assert_answered(server)


def test_who_wants_no_answer_that_was_kept_gets_mlflows_own(
    folder: Path, recorded: dict[str, Answer], tmp_path: Path
) -> None:
    with serving((folder / "recorded").as_uri(), str(tmp_path)) as server:
        for cache, encoding in (("max-age=0", "gzip"), ("no-cache", None)):
            for key, answer in recorded.items():
                reply = ask(server, key, **{"Cache-Control": cache})
                assert (reply.headers.get("content-encoding"), reply.content) == (encoding, answer.body())


def test_a_page_of_another_host_gets_mlflows_own_answer(
    folder: Path, recorded: dict[str, Answer], tmp_path: Path
) -> None:
    with serving((folder / "recorded").as_uri(), str(tmp_path)) as server:
        for origin, encoding in (
            (f"http://{server.netloc}", "gzip"),
            (f"http://candidate-{server.netloc}", None),
        ):
            for key, answer in recorded.items():
                reply = ask(server, key, Origin=origin)
                assert (reply.headers.get("content-encoding"), reply.content) == (encoding, answer.body())


def test_a_damaged_recording_costs_no_more_than_the_answers(
    folder: Path, recorded: dict[str, Answer], manifest: Manifest, tmp_path: Path
) -> None:
    shutil.copytree(folder / "recorded", tmp_path / "store")
    path = snapshot_folder(tmp_path / "store", manifest) / answers_key(manifest.digest, mlflow_version())
    good = path.read_bytes()
    path.write_bytes(good[:1000])
    with serving((tmp_path / "store").as_uri(), str(tmp_path)) as server:
        for key, answer in recorded.items():
            reply = ask(server, key)
            assert (reply.headers.get("content-encoding"), reply.content) == (None, answer.body())
        assert "recorded answers are not used" in [entry["message"] for entry in server.log]
    # The next ingest mends it, with the same bytes.
    store = store_of(tmp_path / "store", manifest)
    assert record_answers(store, manifest)
    assert path.read_bytes() == good
    assert not record_answers(store, manifest)


def test_two_at_once_record_the_same(folder: Path, manifest: Manifest, tmp_path: Path) -> None:
    shutil.copytree(folder / "plain", tmp_path / "store")
    store = store_of(tmp_path / "store", manifest)
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda _: record_answers(store, manifest), range(2)))
    found = find_answers(store, manifest, mlflow_version())
    assert found == find_answers(store_of(folder / "recorded", manifest), manifest, mlflow_version())


def test_what_cannot_be_recorded_is_told_in_the_log(
    folder: Path, manifest: Manifest, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(folder / "plain", tmp_path / "store")
    store = store_of(tmp_path / "store", manifest)
    unknown = replace(manifest, experiments=(replace(manifest.experiments[0], id="1"),))
    store.delete(manifest.bundle.name)  # not needed for it
    with caplog.at_level(logging.WARNING):
        assert not record_answers(store, unknown)
        store.delete(manifest.database.name)
        assert not record_answers(store, manifest)
    first, second = (vars(record)["reason"] for record in caplog.records)
    assert "MLflow answers 404 to GET /ajax-api/2.0/mlflow/experiments/get" in first
    assert "there is no" in second
    assert not record_answers(store, replace(manifest, runs=0))


def search_reply(asked: Asked, metrics: int) -> Answer:
    data = {"metrics": [{"key": f"m{number}", "step": 1} for number in range(metrics)]}
    runs = [{"info": {"run_id": json.loads(asked.body)["experiment_ids"][0]}, "data": data}]
    return Answer.of(200, "application/json", json.dumps({"runs": runs}).encode())


@pytest.mark.parametrize(("packed_bytes", "expected"), [(20, MAX_ANSWERS), (2**19, 9)])
def test_a_recording_stays_small_enough_for_a_wake(packed_bytes: int, expected: int) -> None:
    experiments = tuple(replace(MANIFEST.experiments[0], id=str(number)) for number in range(50))

    def ask(asked: Asked) -> Answer:
        if asked.path == SEARCH_RUNS:
            return search_reply(asked, 20)
        history = "get-history" in asked.path
        return Answer(200, "application/json", b"x" * (packed_bytes if history else 20))

    answers = collect_answers(replace(MANIFEST, experiments=experiments), ask)
    assert len(answers) == expected
    assert len(pack_answers("d", "3.17.2", answers)) < MAX_BYTES


def test_an_error_is_no_answer() -> None:
    with pytest.raises(AnswersError, match="MLflow answers 500 to GET /ajax-api/"):
        collect_answers(MANIFEST, lambda _: Answer.of(500, "text/html", b""))
