"""A store that is slow cannot hold a wake past its bound: the page says so then, and the wake tries again."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bigpanda_laptop.s3 import S3Server
from mlflow_on_demand.ingest import IngestRequest, ingest_task
from support.faulty_http import Fault, FaultyHttp, faulty_http
from support.hpo_files import TASK, Point, name, run_id, tarball, write_task
from support.task_server import TaskServer, serving


@dataclass
class Scene:
    store: str
    proxy: FaultyHttp
    environment: dict[str, str]

    def is_told(self, server: TaskServer, part: str) -> bool:
        return part in server.ask("GET", "/bigpanda/status").json().get("reason", "")


@pytest.fixture
def scene(s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    for variable, value in s3_server.environment.items():
        monkeypatch.setenv(variable, value)
    bucket = f"slow-{uuid.uuid4().hex[:12]}"
    (s3_server.folder / bucket).mkdir()
    artifacts = write_task(tmp_path / "hpo", {name(1): tarball(Point(run_id(1)))})
    ingest_task(IngestRequest(TASK, (artifacts,), f"s3://{bucket}"))
    with faulty_http(s3_server.endpoint) as proxy:
        environment = {"AWS_ENDPOINT_URL_S3": proxy.address, "BIGPANDA_STORE_SECONDS": "1"}
        yield Scene(f"s3://{bucket}", proxy, environment)


@pytest.mark.parametrize("path", ["manifest.json", ".db.gz"])
def test_a_store_that_drips_is_given_up_told_and_asked_again(scene: Scene, tmp_path: Path, path: str) -> None:
    scene.proxy.expect(*[Fault(drip=0.1, path=path)] * 2)
    with serving(scene.store, str(tmp_path), scene.environment) as server:
        server.until(lambda: scene.is_told(server, "was not done in time. Trying again."))
        assert server.stage() in ("starting", "loading")
        server.wait_for("ready")
        assert server.ask("GET", "/health").json().get("reason", "") == ""


def test_a_store_that_is_silent_is_told(scene: Scene, tmp_path: Path) -> None:
    scene.proxy.expect(*[Fault(drip=600, path="manifest.json")] * 9)
    with serving(scene.store, str(tmp_path), scene.environment) as server:
        server.until(lambda: scene.is_told(server, "The snapshot store is slow: not done in 1 s. Waiting."))
        assert server.ask("GET", "/health").status_code == 200
