"""A real server in a process of its own, spoken to over HTTP."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlflow_on_demand.ingest import IngestRequest, ingest_task
from mlflow_on_demand.snapshot import Manifest, Objective
from support.hpo_files import NOON, TASK, Point, name, run_id, tarball, write_task
from support.task_server import HOST, TaskServer, serving

TARBALLS = {
    name(1, "calo"): tarball(
        Point(run_id(1), "worse", artifacts={"plots/p.html": b"<script>alert(1)</script>", "note.txt": b"hello" * 1000})
    ),
    name(2, "calo"): tarball(Point(run_id(2), "better", metrics={"loss": f"{NOON} 0.25 0\n"})),
    name(3, "muon"): tarball(Point(run_id(3), "other")),
}


def publish(folder: Path, tarballs: dict[str, bytes]) -> Manifest:
    artifacts = write_task(folder / "tarballs", tarballs)
    request = IngestRequest(TASK, (artifacts,), (folder / "store").as_uri(), Objective("loss", "minimize"))
    return ingest_task(request).manifest


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    folder = tmp_path_factory.mktemp("published")
    return folder, publish(folder, TARBALLS)


@pytest.fixture(scope="module")
def server(published: tuple[Path, Manifest], tmp_path_factory: pytest.TempPathFactory) -> Iterator[TaskServer]:
    folder, _ = published
    with serving((folder / "store").as_uri(), str(tmp_path_factory.mktemp("scratch"))) as server:
        server.wait_for("ready")
        yield server


def test_health_and_readiness(server: TaskServer, published: tuple[Path, Manifest]) -> None:
    manifest = published[1]
    expected = {
        "stage": "ready",
        "version": "3.17.2",
        "snapshot": manifest.digest,
        "content": manifest.content,
        "mlflow": "3.17.2",
    }
    for path in ("/health", "/ready"):
        answer = server.ask("GET", path, {"Host": "10.0.0.7:8080"})
        assert (answer.status_code, answer.json()) == (200, expected)
        assert server.ask("HEAD", path).status_code == 200


def test_the_page_is_mlflows_with_our_script(server: TaskServer) -> None:
    page = server.ask("GET", "/")
    assert '<script src="/bigpanda/first-look.js"></script><script defer' in page.text
    script = server.ask("GET", "/bigpanda/first-look.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert "ReactComponentState" in script.text
    main = page.text.split('defer="defer" src="')[1].split('"')[0]
    answer = server.ask("GET", f"/{main}")
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert server.ask("GET", "/static-files/favicon.ico").headers["cache-control"] == "no-cache"
    assert server.ask("GET", "/static-files/../../__init__.py").status_code == 404
    assert server.ask("GET", "/nothing").status_code == 404


def search(server: TaskServer, experiment: str, **headers: str) -> object:
    answer = server.ask(
        "POST",
        "/ajax-api/2.0/mlflow/runs/search",
        headers,
        json={"experiment_ids": [experiment], "order_by": ["metrics.`loss` ASC"]},
    )
    assert answer.status_code == 200, answer.text
    return [run["info"]["run_name"] for run in answer.json().get("runs", [])]


def test_mlflow_answers_its_own_page(server: TaskServer, published: tuple[Path, Manifest]) -> None:
    calo, muon = (experiment.id for experiment in published[1].experiments)
    assert search(server, calo) == ["better", "worse"]
    assert search(server, muon, Origin=f"http://{server.netloc}") == ["other"]
    assert search(server, muon, Host=f"candidate-{HOST}", Origin=f"http://candidate-{HOST}:8080") == ["other"]
    found = server.ask("GET", "/ajax-api/2.0/mlflow/experiments/search?max_results=10").json()["experiments"]
    assert {one["name"] for one in found} == {"calo", "muon"}
    history = server.ask(
        "GET",
        f"/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval?run_ids={run_id(1)}&metric_key=loss&max_results=10",
    ).json()
    assert [point["value"] for point in history["metrics"]] == [1.0, 0.5]
    assert server.ask("GET", "/ajax-api/3.0/mlflow/server-info").status_code == 200


def test_graphql_reads(server: TaskServer) -> None:
    query = "query Q($i: MlflowGetRunInput!) { mlflowGetRun(input: $i) { run { info { runName } } } }"
    body = {"query": query, "operationName": "Q", "variables": {"i": {"runId": run_id(1)}}}
    answer = server.ask("POST", "/graphql", json=body)
    assert answer.json()["data"] == {"mlflowGetRun": {"run": {"info": {"runName": "worse"}}}}
    refused = server.ask("POST", "/graphql", json={"query": 'mutation { testMutation(inputString: "x") { output } }'})
    assert (refused.status_code, refused.json()["error_code"]) == (403, "PERMISSION_DENIED")


def test_artifacts_open(server: TaskServer) -> None:
    listed = server.ask("GET", f"/ajax-api/2.0/mlflow/artifacts/list?run_id={run_id(1)}").json()["files"]
    assert listed == [
        {"path": "note.txt", "is_dir": False, "file_size": 5000},
        {"path": "plots", "is_dir": True},
    ]
    inside = server.ask("GET", f"/ajax-api/2.0/mlflow/artifacts/list?run_id={run_id(1)}&path=plots").json()["files"]
    assert inside == [{"path": "plots/p.html", "is_dir": False, "file_size": 25}]
    assert "files" not in server.ask("GET", f"/ajax-api/2.0/mlflow/artifacts/list?run_id={run_id(2)}").json()
    page = server.ask("GET", f"/get-artifact?run_uuid={run_id(1)}&path=plots%2Fp.html")
    assert page.content == b"<script>alert(1)</script>"
    assert page.headers["content-security-policy"].startswith("sandbox;")
    assert page.headers["content-disposition"].startswith("attachment")
    assert server.ask("GET", f"/get-artifact?run_uuid={run_id(1)}&path=none.txt").status_code == 404
    assert server.ask("GET", f"/get-artifact?run_uuid={run_id(1)}&path=../x").status_code == 400


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/ajax-api/2.0/mlflow/runs/delete"),
        ("POST", "/api/2.0/mlflow/experiments/create"),
        ("DELETE", "/ajax-api/3.0/mlflow/traces/x/tags"),
        ("PUT", "/api/2.0/mlflow-artifacts/artifacts/x"),
        ("POST", "/ajax-api/3.0/mlflow/assistant/message"),
        ("POST", "/ajax-api/3.0/jobs/"),
        ("POST", "/v1/traces"),
        ("GET", "/ajax-api/3.0/mlflow/gateway/secrets/list"),
    ],
)
def test_what_changes_something_is_refused(server: TaskServer, method: str, path: str) -> None:
    answer = server.ask(method, path)
    assert answer.status_code == 403
    assert answer.json() == {
        "error_code": "PERMISSION_DENIED",
        "message": f"This MLflow shows a task's results and cannot be changed: {method} {path} is not allowed.",
    }


def test_the_page_is_told_that_unmounted_parts_are_empty(server: TaskServer) -> None:
    assert server.ask("GET", "/ajax-api/3.0/mlflow/assistant/config").json()["providers"] == {}
    assert server.ask("GET", "/ajax-api/2.0/mlflow/gateway-proxy?gateway_path=x").json() == {"endpoints": []}


def test_foreign_hosts_and_origins_are_refused(server: TaskServer) -> None:
    assert server.ask("GET", "/", {"Host": "evil.example"}).status_code == 403
    path = "/ajax-api/2.0/mlflow/runs/search"
    foreign = server.ask("POST", path, {"Origin": "https://evil.example"}, json={"experiment_ids": ["1"]})
    assert foreign.status_code == 403


def test_a_read_has_a_small_body(server: TaskServer) -> None:
    answer = server.ask("POST", "/ajax-api/2.0/mlflow/runs/search", content=b" " * (2**20 + 1))
    assert (answer.status_code, answer.json()["error_code"]) == (413, "INVALID_PARAMETER_VALUE")


def test_before_and_after_a_snapshot_and_the_end(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with serving((tmp_path / "store").as_uri(), str(scratch)) as server:
        server.wait_for("waiting_for_snapshot")
        page = server.ask("GET", "/")
        assert f"Task {TASK}" in page.text
        assert "being prepared" in page.text
        held = server.ask("GET", "/ajax-api/2.0/mlflow/experiments/search")
        assert (held.status_code, held.json()["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
        assert "location.replace" in server.ask("GET", "/bigpanda/first-look.js").text
        assert server.ask("GET", "/ready").status_code == 503

        publish(tmp_path, {})
        server.until(lambda: "No evaluated point" in server.ask("GET", "/health").json().get("reason", ""))

        manifest = publish(tmp_path, TARBALLS)
        store = tmp_path / "store" / str(TASK) / manifest.schema_revision
        path = store / "manifest.json"
        good = path.read_bytes()
        path.write_bytes(json.dumps({**json.loads(good), "database": {"name": "x", "size": 1, "sha256": ""}}).encode())
        server.wait_for("failed")
        assert "cannot be shown" in server.ask("GET", "/").text

        path.write_bytes(good)
        server.wait_for("ready")
        assert search(server, manifest.experiments[0].id) == ["better", "worse"]
        assert server.end() == 0
        stages = [entry["stage"] for entry in server.log if "stage" in entry]
    assert (stages[0], stages[-1]) == ("waiting_for_snapshot", "ready")
    assert list(scratch.iterdir()) == []


def test_the_question_that_wakes_it_is_answered_with_the_snapshot(
    published: tuple[Path, Manifest], tmp_path: Path
) -> None:
    folder, manifest = published
    with serving((folder / "store").as_uri(), str(tmp_path)) as server:
        assert server.ask("GET", "/bigpanda/status").json()["snapshot"] == manifest.digest


def test_a_store_that_does_not_answer(tmp_path: Path) -> None:
    secret = "a-very-secret-key"
    dead = {
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": secret,
    }
    with serving("s3://bucket/prefix", str(tmp_path), dead) as server:
        server.until(lambda: "does not answer" in server.ask("GET", "/health").json().get("reason", ""))
        assert server.ask("GET", "/health").status_code == 200
        assert server.ask("GET", "/ready").status_code == 503
        assert secret not in json.dumps(server.log)


def test_a_wrong_setting_ends_it_with_a_sentence() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "mlflow_on_demand.server"], env={"PATH": ""}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert json.loads(ended.stderr)["message"] == "BIGPANDA_JEDITASKID is not set"
