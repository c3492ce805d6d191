"""What a task's Service in the cluster says of itself: the annotations read back, and whether it is ready.

Somebody may have edited them by hand, so each reading has a defined answer for what cannot be read.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bigpanda_mlflow import labels
from bigpanda_mlflow.events import EventKey, Objective
from bigpanda_mlflow.names import jeditaskid_of
from bigpanda_mlflow.rollout_state import read_state
from bigpanda_mlflow.times import parse_time

_BEFORE_ALL = EventKey(datetime.min.replace(tzinfo=UTC), "")


@dataclass(frozen=True)
class TaskService:
    """A task's Service as last read. `uid` and `resource_version` make a change or deletion of just this reading
    possible.
    """

    name: str
    jeditaskid: int
    uid: str
    resource_version: str
    last: EventKey
    expires_at: datetime | None
    artifacts: tuple[str, ...]
    objective: Objective | None
    max_points: int | None


@dataclass(frozen=True)
class Readiness:
    """Knative's condition Ready, for the generation that we wrote; `status` is True, False or Unknown."""

    status: str
    reason: str


def read_service(service: dict[str, Any]) -> TaskService | None:
    """None for a Service that is not a task's. An unreadable event time counts as older than every event."""
    metadata = service["metadata"]
    jeditaskid = jeditaskid_of(metadata["name"])
    if jeditaskid is None or metadata.get("labels", {}).get(labels.MANAGED_BY) != labels.MANAGED_BY_US:
        return None
    notes = metadata.get("annotations", {})
    event_time = _time(notes.get(labels.EVENT_TIME))
    return TaskService(
        name=metadata["name"],
        jeditaskid=jeditaskid,
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        last=_BEFORE_ALL if event_time is None else EventKey(event_time, notes.get(labels.EVENT_ID, "")),
        expires_at=_time(notes.get(labels.EXPIRES_AT)),
        artifacts=_artifacts(notes.get(labels.ARTIFACTS)),
        objective=_objective(notes.get(labels.OBJECTIVE)),
        max_points=_points(notes.get(labels.MAX_POINTS, "")),
    )


def read_readiness(service: dict[str, Any]) -> Readiness:
    """Unknown while the status is older than the spec.

    The reason is the Configuration's where it has one: Ready itself only says that no Revision is ready. While a
    rollout tries a candidate, all conditions speak of that, and the page is served by its current Revision, as before.
    """
    status = service.get("status", {})
    rollout = read_state(service["metadata"].get("annotations", {}).get(labels.ROLLOUT))
    if rollout is not None and not rollout.phase.is_settled and status.get("traffic"):
        return Readiness("True", "")
    if status.get("observedGeneration") == service["metadata"].get("generation"):
        conditions = {condition.get("type"): condition for condition in status.get("conditions", [])}
        if ready := conditions.get("Ready"):
            cause = conditions.get("ConfigurationsReady", {})
            cause = cause if cause.get("status") == "False" else ready
            reason = cause.get("message") or cause.get("reason") or "no reason given"
            return Readiness(ready.get("status", "Unknown"), reason)
    return Readiness("Unknown", "Knative has not looked at it yet")


def _time(text: str | None) -> datetime | None:
    try:
        return None if text is None else parse_time(text)
    except ValueError:
        return None


def _artifacts(text: str | None) -> tuple[str, ...]:
    try:
        found = json.loads(text or "[]")
    except ValueError:
        return ()
    return tuple(str(uri) for uri in found) if isinstance(found, list) else ()


def _objective(text: str | None) -> Objective | None:
    try:
        return None if text is None else Objective.model_validate_json(text)
    except ValueError:
        return None


def _points(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None
