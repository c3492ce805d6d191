"""Where a task stands, for people and for BigPanDA: a pure reading of its Service and its tombstone."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bigpanda_mlflow.events import EventKey
from bigpanda_mlflow.names import page_url
from bigpanda_mlflow.settings import Settings
from bigpanda_mlflow.taskservice import read_readiness
from bigpanda_mlflow.times import format_time
from bigpanda_mlflow.tombstones import tell
from bigpanda_mlflow.visualization import Situation


class TaskState(StrEnum):
    """All that a task's page can be."""

    UNKNOWN = "unknown"
    PENDING = "pending"
    READY = "ready"
    FAILED = "failed"
    EXPIRED = "expired"
    RELEASED = "released"


@dataclass(frozen=True)
class TaskStatus:
    """A task's state with its URL and expiry while it has a page, or the reason why not; `last` is the newest event."""

    jeditaskid: int
    state: TaskState
    url: str | None = None
    expires_at: datetime | None = None
    reason: str | None = None
    last: EventKey | None = None

    def as_json(self) -> dict[str, object]:
        """What callers get; absent things are left out."""
        fields = {
            "jeditaskid": self.jeditaskid,
            "state": self.state.value,
            "url": self.url,
            "expires_at": None if self.expires_at is None else format_time(self.expires_at),
            "reason": self.reason,
        }
        return {name: value for name, value in fields.items() if value is not None}


def read_status(jeditaskid: int, found: Situation, settings: Settings) -> TaskStatus:
    """The status of a task as it was read."""
    service, stone = found.service, found.tombstone
    if found.raw is None or service is None:
        if stone is None:
            return TaskStatus(jeditaskid, TaskState.UNKNOWN, reason="nobody has asked for this task's page")
        state = TaskState.RELEASED if stone.reason == "released" else TaskState.EXPIRED
        return TaskStatus(jeditaskid, state, reason=tell(stone), last=stone.last)
    readiness = read_readiness(found.raw)
    url = page_url(settings.page_url, jeditaskid)
    match readiness.status:
        case "True":
            return TaskStatus(jeditaskid, TaskState.READY, url, service.expires_at, last=service.last)
        case "False":
            state = TaskState.FAILED
        case _:
            state = TaskState.PENDING
    return TaskStatus(jeditaskid, state, url, service.expires_at, readiness.reason, service.last)
