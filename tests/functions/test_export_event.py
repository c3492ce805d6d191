"""An event that names BigPanDA's export, from the allow-list to the answer, with a real server and a real ingest."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bigpanda_mlflow import handlers
from bigpanda_mlflow.context import Context
from bigpanda_mlflow.errors import Permanent, Transient
from bigpanda_mlflow.events import EventType, SnapshotPublished
from bigpanda_mlflow.settings import Settings
from mlflow_on_demand import snapshot
from mlflow_on_demand.awaited import Awaited
from mlflow_on_demand.ingest import IngestRequest, ingest_task
from mlflow_on_demand.reach import PRIVATE_HOSTS
from support.builders import ENVIRONMENT, visualize_event
from support.export_server import PATH, ExportServer, export_server
from support.hpo_files import TASK, Point, name, run_id, tarball


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ExportServer]:
    with export_server() as found:
        monkeypatch.setenv(PRIVATE_HOSTS, f"localhost:{found.port}")
        yield found


@pytest.fixture
def deployed(context: Context, server: ExportServer, tmp_path: Path) -> Context:
    """A deployment that lists this export."""
    stores = {
        "BIGPANDA_ARTIFACT_STORES": f"http://localhost:{server.port}{PATH}",
        "BIGPANDA_SNAPSHOT_STORE": tmp_path.as_uri(),
        PRIVATE_HOSTS: f"localhost:{server.port}",
    }
    return dataclasses.replace(context, settings=Settings.from_environment({**ENVIRONMENT, **stores}))


def run(
    jeditaskid: int,
    artifacts: tuple[str, ...],
    objective: snapshot.Objective | None,
    awaited: Awaited | None,
    snapshot_store: str,
) -> snapshot.Manifest:
    return ingest_task(IngestRequest(jeditaskid, artifacts, snapshot_store, objective, awaited=awaited)).manifest


def test_its_runs_are_published(deployed: Context, server: ExportServer) -> None:
    server.export([(name(one), tarball(Point(run_id(one)))) for one in (2, 1)])
    outcome = handlers.ingest(visualize_event(jeditaskid=TASK, artifacts=[server.uri(TASK)]), deployed, run)
    assert outcome is not None
    assert outcome.type is EventType.SNAPSHOT_PUBLISHED
    assert isinstance(outcome.data, SnapshotPublished)
    assert (outcome.data.runs, outcome.data.lost) == (2, ())


def test_what_it_says_instead_is_answered(deployed: Context, server: ExportServer) -> None:
    event = visualize_event(jeditaskid=TASK, artifacts=[server.uri(TASK)])
    server.content = json.dumps({"error": "no metrics for this task"}).encode()
    with pytest.raises(Permanent, match="no metrics for this task") as refusal:
        handlers.ingest(event, deployed, run)
    assert refusal.value.field == "data.artifacts"
    server.export([(name(1), tarball(Point(run_id(1))))])
    server.cut_at = len(server.content) // 2
    with pytest.raises(Transient, match=r"the export is cut short|broke off"):
        handlers.ingest(event, deployed, run)


@pytest.mark.parametrize("uri", ["http://localhost:1/idds/downloadhpometrics/?workloadid=30456789", "{}&x=1", "{}#x"])
def test_any_other_address_is_refused_unasked(deployed: Context, server: ExportServer, uri: str) -> None:
    event = visualize_event(jeditaskid=TASK, artifacts=[uri.format(server.uri(TASK))])
    with pytest.raises(Permanent) as refusal:
        handlers.ingest(event, deployed, run)
    assert refusal.value.field == "data.artifacts[0]"
    assert server.asked == []
