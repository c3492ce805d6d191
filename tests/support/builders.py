"""Events, settings and Services for the tests of the functions."""

from datetime import UTC, datetime, timedelta
from typing import Any

from bigpanda_mlflow.events import Event, EventKey, EventType, Visualize
from bigpanda_mlflow.settings import Settings

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
TASK = 30456789
ENVIRONMENT = {
    "BIGPANDA_MLFLOW_IMAGE": "registry.example/bigpanda-mlflow/mlflow@sha256:" + "0" * 64,
    "BIGPANDA_PAGE_URL": "https://{service}.mlflow.example",
    "BIGPANDA_SNAPSHOT_STORE": "s3://snapshots/hpo",
    "BIGPANDA_ARTIFACT_STORES": "s3://panda/hpo, file:///data/metrics",
}
SETTINGS = Settings.from_environment(ENVIRONMENT)


def visualize_data(**changes: Any) -> dict[str, Any]:
    data = {"jeditaskid": TASK, "owner": "alice", "artifacts": [f"s3://panda/hpo/{TASK}/"], "lifetime": "P1D"}
    return {**data, **changes}


def visualize_event(at: datetime = NOW, identity: str = "e1", **changes: Any) -> Event[Visualize]:
    data = Visualize.model_validate(visualize_data(**changes))
    return Event(EventKey(at, identity), EventType.VISUALIZE, data)


def hours(number: float) -> timedelta:
    return timedelta(hours=number)


def stored(service: dict[str, Any], uid: str = "u", version: str = "1") -> dict[str, Any]:
    """A Service as the API server gives it back."""
    return {**service, "metadata": {**service["metadata"], "uid": uid, "resourceVersion": version}}
