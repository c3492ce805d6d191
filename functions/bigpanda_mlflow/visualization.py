"""What a `visualize` event means for the cluster as it stands: a pure decision.

Promises: the outcome does not depend on the order or number of deliveries. Of all events of a task the newest decides
its lifetime, and a tombstone outweighs every event that is not newer than it.
"""

from dataclasses import dataclass
from datetime import datetime

from bigpanda_mlflow.events import Event, Visualize
from bigpanda_mlflow.resources import Resource, make_service, renew_service
from bigpanda_mlflow.settings import Settings
from bigpanda_mlflow.taskservice import TaskService
from bigpanda_mlflow.times import format_time
from bigpanda_mlflow.tombstones import Tombstone, tell


@dataclass(frozen=True)
class Create:
    """There is no Service yet: make this one."""

    service: Resource


@dataclass(frozen=True)
class Renew:
    """The Service stands, and this event is newer: write it with these annotations."""

    service: Resource


@dataclass(frozen=True)
class Keep:
    """The Service stands and knows this event, or a newer one."""


@dataclass(frozen=True)
class Refuse:
    """There shall be no Service: set `tombstone` if there is one to set, then delete `remove` if it stands."""

    reason: str
    remove: TaskService | None = None
    tombstone: Tombstone | None = None


Plan = Create | Renew | Keep | Refuse


@dataclass(frozen=True)
class Situation:
    """What was read of a task: its Service (raw and understood), and its tombstone."""

    raw: Resource | None
    service: TaskService | None
    tombstone: Tombstone | None


def plan_visualize(event: Event[Visualize], found: Situation, settings: Settings, now: datetime) -> Plan:
    """What to do about `event`."""
    service, stone = found.service, found.tombstone
    if stone is not None and event.key <= stone.last and (service is None or service.last <= stone.last):
        return Refuse(f"{tell(stone)}, after this event", service)
    if service is not None and service.last >= event.key:
        return Keep()
    ends = event.key.time + event.data.lifetime
    if ends <= now:
        # No service was there to end, so nobody needs to be told of its end.
        over = Tombstone(event.key, now, "expired", announced=service is None)
        return Refuse(f"the lifetime that this event asks for was over at {format_time(ends)}", service, over)
    if found.raw is None:
        return Create(make_service(event, settings))
    return Renew(renew_service(found.raw, event))
