"""What a scene for handlers is made of: a clock that is moved, somebody who interferes, a snapshot that was made."""

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from bigpanda_mlflow.cluster import Cluster
from bigpanda_mlflow.context import Context
from mlflow_on_demand import snapshot


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
