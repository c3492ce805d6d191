"""`ingest`: a task's metrics tarballs become a snapshot. Runs in the MLflow image, whose schema it writes."""

from functools import partial

import functions_framework
from flask import Request, Response

from bigpanda_mlflow.endpoint import Endpoint
from bigpanda_mlflow.events import EventType
from bigpanda_mlflow.handlers import ingest as handle
from mlflow_on_demand.awaited import Awaited
from mlflow_on_demand.ingest import IngestRequest, ingest_task
from mlflow_on_demand.other_uis import publish_ui
from mlflow_on_demand.record_answers import record_answers
from mlflow_on_demand.snapshot import Manifest, Objective, open_snapshot_store


def _run(
    jeditaskid: int,
    artifacts: tuple[str, ...],
    objective: Objective | None,
    awaited: Awaited | None,
    snapshot_store: str,
) -> Manifest:
    manifest = ingest_task(IngestRequest(jeditaskid, artifacts, snapshot_store, objective, awaited=awaited)).manifest
    record_answers(open_snapshot_store(snapshot_store, jeditaskid, manifest.schema_revision), manifest)
    publish_ui(snapshot_store)
    return manifest


_endpoint = Endpoint.from_environment(partial(handle, run=_run), EventType.VISUALIZE, EventType.RESULTS)


@functions_framework.http
def ingest(request: Request) -> Response:
    """Answers `snapshot.published`: what can be looked at now."""
    return _endpoint(request)
