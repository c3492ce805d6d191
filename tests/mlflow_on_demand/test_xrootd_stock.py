"""Stock MLflow with our plug-in on a real XRootD server: a physicist's script, and a tracking server's pages."""

import json
import subprocess
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest

from bench.stock import running_stock, until_answered
from support.xrootd_server import XRootDServer
from support.xrootd_stock import install_plugin

SCRIPT = Path(__file__).parents[1] / "support" / "xrootd_mlflow.py"
Plugin = tuple[Path, dict[str, str]]

MANY = {f"{number % 3}/größe {number}.txt": str(number) for number in range(20)}
TOP = [["deep", True, None], ["loss.json", False, 18], ["many", True, None], ["one", True, None]]


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Plugin:
    return install_plugin(tmp_path_factory.mktemp("plugin"))


def run_script(plugin: Plugin, tracking: str, folder: Path, *location: str) -> Any:
    mlflow, environment = plugin
    (folder / "work").mkdir()
    done = subprocess.run(
        [
            mlflow.with_name("python"),
            "-W",
            "error:Failure attempting:UserWarning",
            SCRIPT,
            str(folder / "work"),
            *location,
        ],
        env={**environment, "MLFLOW_TRACKING_URI": tracking, "HOME": str(folder), "PATH": "/usr/bin:/bin"},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def check(seen: Any) -> None:
    assert (seen["many"], seen["listed"]) == (MANY, TOP)
    assert (seen["text"], seen["dict"], seen["whole"]) == ("text", {"loss": 0.25}, "one")
    assert (seen["found"], seen["model"]) == (["deep/er"], ["aa", "bb"])


def test_a_script_writes_to_eos_itself(plugin: Plugin, xrootd_server: XRootDServer, tmp_path: Path) -> None:
    name = uuid.uuid4().hex
    seen = run_script(plugin, f"sqlite:///{tmp_path}/mlflow.db", tmp_path, xrootd_server.uri(name))
    check(seen)
    assert seen["uri"] == f"{xrootd_server.uri(name)}/{seen['run']}/artifacts"
    on_disk = xrootd_server.data / name / seen["run"] / "artifacts"
    assert (on_disk / "many" / "1" / "größe 1.txt").read_text() == "1"


def test_a_tracking_server_keeps_its_artifacts_on_eos(
    plugin: Plugin, xrootd_server: XRootDServer, tmp_path: Path
) -> None:
    mlflow, environment = plugin
    name = uuid.uuid4().hex
    destination = ("--artifacts-destination", xrootd_server.uri(name))
    with running_stock(mlflow, tmp_path / "server.db", *destination, **environment) as server:
        until_answered(f"{server.url}/health")
        seen = run_script(plugin, server.url, tmp_path)
        check(seen)
        assert seen["uri"].startswith("mlflow-artifacts:/")
        with httpx.Client(base_url=server.url, timeout=60) as browser:
            check_what_the_ui_asks(browser, seen["run"])
            check_that_no_other_host_is_asked(browser)
    assert (xrootd_server.data / name).is_dir()


def check_what_the_ui_asks(browser: httpx.Client, run: str) -> None:
    top = browser.get("/ajax-api/2.0/mlflow/artifacts/list", params={"run_id": run}).json()
    assert [[one["path"], one["is_dir"], one.get("file_size")] for one in top["files"]] == TOP
    inner = browser.get("/ajax-api/2.0/mlflow/artifacts/list", params={"run_id": run, "path": "many/1"}).json()
    assert {one["path"] for one in inner["files"]} == {f"many/{path}" for path in MANY if path.startswith("1/")}
    shown = browser.get("/get-artifact", params={"run_uuid": run, "path": "many/1/größe 1.txt"})
    assert (shown.status_code, shown.text) == (200, "1")
    assert browser.get("/get-artifact", params={"run_uuid": run, "path": "none.txt"}).status_code == 404


def check_that_no_other_host_is_asked(browser: httpx.Client) -> None:
    """Whoever may create experiments must not make the server show its credentials elsewhere."""
    made = browser.post(
        "/api/2.0/mlflow/experiments/create", json={"name": "lure", "artifact_location": "root://127.0.0.1:9//eos/x"}
    ).json()
    run = browser.post("/api/2.0/mlflow/runs/create", json={"experiment_id": made["experiment_id"]}).json()
    listed = browser.get("/api/2.0/mlflow/artifacts/list", params={"run_id": run["run"]["info"]["run_id"]})
    assert listed.status_code == 400
    assert "does not connect to 127.0.0.1:9" in listed.json()["message"]
