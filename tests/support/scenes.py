"""What a scene for handlers is made of: a clock that is moved, events that arrive, somebody who interferes."""

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from bigpanda_mlflow import handlers
from bigpanda_mlflow.cluster import Cluster
from bigpanda_mlflow.context import Context
from bigpanda_mlflow.events import Event, EventKey, EventType, Release
from bigpanda_mlflow.names import service_name
from bigpanda_mlflow.taskservice import TaskService, read_service
from mlflow_on_demand import snapshot
from support.builders import visualize_event


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC).replace(microsecond=0)

    def __call__(self) -> datetime:
        return self.now


def interrupted(context: Context, method: str, meanwhile: Callable[[], object]) -> Context:
    """The same context, in which somebody else acts just before the next call of the cluster's `method`."""

    class Interrupted(Cluster):
        def __init__(self) -> None:
            self.__dict__.update(vars(context.cluster))
            self.waiting = [meanwhile]

        def __getattribute__(self, name: str) -> Any:
            waiting = object.__getattribute__(self, "__dict__")["waiting"] if name == method else []
            if waiting:
                waiting.pop()()
            return super().__getattribute__(name)

    return dataclasses.replace(context, cluster=Interrupted())


def move(context: Context, by: timedelta) -> None:
    assert isinstance(context.now, Clock)
    context.now.now += by


def ask(context: Context, task: int, lifetime: str = "PT1H", identity: str = "v1", **changes: Any) -> Any:
    event = visualize_event(context.now(), identity, jeditaskid=task, lifetime=lifetime, **changes)
    return handlers.visualize(event, context)


def release(context: Context, task: int, at: datetime | None = None) -> Any:
    event = Event(EventKey(at or context.now(), "w1"), EventType.RELEASE, Release(jeditaskid=task))
    return handlers.release(event, context)


def expire(context: Context) -> None:
    handlers.expire(Event(EventKey(context.now(), "p"), EventType.PING, None), context)


def find(context: Context, task: int) -> TaskService | None:
    raw = context.cluster.get_service(service_name(task))
    return None if raw is None else read_service(raw)


MANIFEST = snapshot.Manifest(
    format=1,
    jeditaskid=50,
    mlflow_version="3.17.2",
    schema_revision="r",
    digest="d1",
    database=snapshot.ObjectRef("a", 1, "a"),
    bundle=snapshot.ObjectRef("b", 1, "b"),
    summary=snapshot.ObjectRef("c", 1, "c"),
    sources=(),
    lost=(snapshot.Lost("x.tgz", "is cut short"),),
    missing_serials=(),
    experiments=(snapshot.Experiment("1", "seg", "seg", 2),),
    runs=2,
    points=2,
    metric_points=9,
    damaged_lines=0,
    objective=None,
    best=None,
    metrics=(),
    params=(),
)
