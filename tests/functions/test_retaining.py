"""The collection of old snapshots against a real API server, which says which tasks have a page."""

import dataclasses
import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bigpanda_mlflow.context import Context
from bigpanda_mlflow.errors import Permanent, Transient
from bigpanda_mlflow.events import Event, EventKey, EventType
from bigpanda_mlflow.retaining import collect_snapshots, retain
from embedded.kit import Cluster as Runtime
from mlflow_on_demand.collecting import UNKNOWN, WAITING
from mlflow_on_demand.ingest import IngestRequest, ingest_task
from mlflow_on_demand.retention import Reason
from support.builders import ENVIRONMENT
from support.hpo_files import Point, run_id, tarball
from support.scenes import ask, interrupted, move

DAY = timedelta(days=1)


@pytest.fixture
def kept(context: Context, tmp_path: Path) -> Context:
    """A deployment whose store holds the snapshots of the tasks 81 and 82, and something of somebody else."""
    for task in (81, 82):
        folder = tmp_path / "hpo" / str(task)
        folder.mkdir(parents=True)
        (folder / f"{task}.metrics.1.tgz").write_bytes(tarball(Point(run_id(task))))
        ingest_task(IngestRequest(task, (folder.as_uri(),), (tmp_path / "snapshots").as_uri()))
    for other in ("081/abc/manifest.json", "ui/pack.zip", "82.zip"):
        (tmp_path / "snapshots" / other).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / "snapshots" / other).write_bytes(b"{}")
    return dataclasses.replace(
        context, settings=context.settings.model_copy(update={"snapshot_store": (tmp_path / "snapshots").as_uri()})
    )


def files(context: Context) -> set[str]:
    root = Path(context.settings.snapshot_store.removeprefix("file://"))
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def run(context: Context) -> None:
    retain(Event(EventKey(context.now(), "p"), EventType.PING, None), context)


def test_a_task_without_a_page_goes_after_its_lifetime_and_no_other(kept: Context) -> None:
    before = files(kept)
    ask(kept, 81)
    move(kept, 181 * DAY)
    told = collect_snapshots(kept, dry_run=True)
    assert (told.tasks, files(kept)) == (2, before)
    assert told.objects[Reason.EXPIRED] == 1
    run(kept)
    run(kept)
    move(kept, 2 * DAY)
    run(kept)
    move(kept, DAY)
    run(kept)
    gone = before - files(kept)
    assert gone
    assert {path.split("/")[0] for path in gone} == {"82"}
    assert files(kept) - before == {"81/used", "81/unreferenced.json"}


def test_a_page_that_was_just_asked_for_keeps_its_snapshot(kept: Context) -> None:
    move(kept, 181 * DAY)
    ask(kept, 82)
    before = files(kept)
    meanwhile = interrupted(kept, "get_service", lambda: ask(kept, 81))
    assert collect_snapshots(meanwhile, dry_run=False).objects == {}
    assert files(kept) == before | {f"{task}/{name}" for task in (81, 82) for name in ("used", "unreferenced.json")}


def test_what_a_cluster_does_not_say_is_a_fault_and_nothing_is_lost(kept: Context) -> None:
    move(kept, 181 * DAY)
    before = files(kept)

    def fail() -> None:
        raise Transient("the cluster's API cannot be reached")

    for call in ("task_services", "get_service"):
        with pytest.raises(Transient, match="cannot be reached"):
            run(interrupted(kept, call, fail) if call == "task_services" else _failing(kept, fail))
        assert files(kept) == before


def _failing(context: Context, fail: Any) -> Context:
    class Failing(type(context.cluster)):  # type: ignore[misc]
        def __init__(self) -> None:
            self.__dict__.update(vars(context.cluster))

        def get_service(self, name: str) -> None:
            fail()

    return dataclasses.replace(context, cluster=Failing())


def test_a_store_that_cannot_be_listed_is_told(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    with pytest.raises(Transient, match="the snapshot store cannot be listed"):
        run(context)
    nowhere = context.settings.model_copy(update={"snapshot_store": "gopher://nowhere"})
    with pytest.raises(Permanent, match="cannot be listed: no store answers"):
        run(dataclasses.replace(context, settings=nowhere))


def test_the_command_tells_first_and_collects_when_it_is_told_to(kept: Context, runtime: Runtime) -> None:
    kubeconfig = str(runtime.endpoints["kubeconfig"])
    environment = {**ENVIRONMENT, "BIGPANDA_SNAPSHOT_STORE": kept.settings.snapshot_store, "KUBECONFIG": kubeconfig}
    command = [sys.executable, "-m", "bigpanda_mlflow.retention_report"]
    root = Path(kept.settings.snapshot_store.removeprefix("file://"))
    manifest = next((root / "81").rglob("manifest.json"))
    (manifest.parent / f"{'0' * 64}.zip").write_bytes(b"left by somebody")
    (manifest.parent / "theirs").write_bytes(b"-")
    before = files(kept)
    for arguments in ([], ["--collect"]):
        ran = subprocess.run(
            [*command, *arguments], env={**os.environ, **environment}, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr
        assert json.loads(ran.stdout) == {
            "collected": bool(arguments),
            "tasks": 2,
            "objects": {WAITING: 1, UNKNOWN: 1},
            "bytes": {WAITING: 16, UNKNOWN: 1},
        }
        assert files(kept) == before | ({f"{task}/unreferenced.json" for task in (81, 82)} if arguments else set())
