"""All that the doctor looks at for one task, each read once and only when a check asks for it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from bigpanda_mlflow.errors import FunctionError
from bigpanda_mlflow.names import page_url, service_name
from bigpanda_mlflow.taskservice import TaskService, read_service
from bigpanda_mlflow.tombstones import Tombstone, read_tombstone
from bigpanda_ops.connection import Connection, reaching
from bigpanda_ops.page import PageAnswer, wake_page
from bigpanda_ops.snapshots import Published, find_published, list_keys

Resource = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """One task. Without `wake` its page is left asleep; with it, the page may take `patience` seconds to come up."""

    connection: Connection
    jeditaskid: int
    wake: bool = True
    patience: float = 60.0
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def name(self) -> str:
        """Of its Service."""
        return service_name(self.jeditaskid)

    @property
    def namespace(self) -> str:
        """Where its Service is."""
        return self.connection.cluster.namespace

    @cached_property
    def raw(self) -> Resource | None:
        """The Service as it is in the cluster."""
        with reaching():
            found: Resource | None = self.connection.cluster.get_service(self.name)
            return found

    @cached_property
    def service(self) -> TaskService | None:
        """The same as this platform understands it; None if there is none, or one of somebody else."""
        return None if self.raw is None else read_service(self.raw)

    @cached_property
    def is_served(self) -> bool:
        """Whether Knative sends its requests to a Revision, be it an older one while the newest does not start."""
        return self.raw is not None and bool(self.raw.get("status", {}).get("traffic"))

    @cached_property
    def tombstone(self) -> Tombstone | None:
        """What is remembered of its end."""
        with reaching():
            return read_tombstone(self.connection.cluster.get_tombstones(), self.jeditaskid)

    @cached_property
    def revisions(self) -> dict[str, Resource]:
        """Its Revisions by name."""
        with reaching():
            return {one["metadata"]["name"]: one for one in self.connection.cluster.list_revisions(self.name)}

    @cached_property
    def published(self) -> tuple[Published, ...]:
        """Its snapshots, one a schema of MLflow, those with runs first. Raises OnDemandError."""
        return find_published(self.connection.snapshot_store, self.jeditaskid)

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """All that lies in its part of the snapshot store. Raises OnDemandError."""
        return list_keys(self.connection.snapshot_store, self.jeditaskid)

    @cached_property
    def url(self) -> str:
        """Of its page."""
        return page_url(self.connection.settings.page_url, self.jeditaskid)

    @cached_property
    def was_awake(self) -> bool:
        """Whether a pod of it was there before this case woke one."""
        return any(one.get("status", {}).get("actualReplicas") for one in self.revisions.values())

    @cached_property
    def page(self) -> PageAnswer | None:
        """What the page says of itself once it is awake, or where it got stuck; None where nobody may wake it."""
        if not (self.wake and self.is_served):
            return None
        _ = self.was_awake
        return wake_page(self.url, self.patience)

    def read_log(self, function: str, lines: int = 500) -> list[str]:
        """What is left of a function's log; nothing where it may not be read, since it is only a hint."""
        try:
            return self.connection.cluster.read_log(function, lines)
        except FunctionError:
            return []


def read_condition(thing: Resource, kind: str) -> Resource:
    """The condition of that type; empty while Knative has not said anything of it."""
    conditions: list[Resource] = thing.get("status", {}).get("conditions", [])
    return next((one for one in conditions if one.get("type") == kind), {})
