"""The handler of `ingest` against a real API server: what it asks for, and what it answers."""

from datetime import timedelta
from typing import Any

import pytest

from bigpanda_mlflow import handlers
from bigpanda_mlflow.context import Context
from bigpanda_mlflow.errors import Permanent, Transient
from bigpanda_mlflow.events import Event, EventKey, EventType, Results
from mlflow_on_demand import snapshot
from mlflow_on_demand.awaited import Awaited
from mlflow_on_demand.errors import AccessDenied, StoreUnavailable
from support.builders import visualize_event
from support.scenes import MANIFEST, ask, release

HOUR = timedelta(hours=1)


def results_event(context: Context, task: int, artifacts: list[str] | None = None) -> Event[Results]:
    data = Results.model_validate({"jeditaskid": task, **({"artifacts": artifacts} if artifacts else {})})
    return Event(EventKey(context.now(), "n1"), EventType.RESULTS, data)


def test_ingest_of_results_uses_what_the_service_remembers(context: Context) -> None:
    ask(context, 50, objective={"metric": "loss", "direction": "maximize"}, max_points=48)
    awaited = Awaited(48, int(context.now().timestamp()), 3 * 24 * 3600)
    asked: list[Any] = []

    def run(*arguments: Any, **_: Any) -> snapshot.Manifest:
        asked.append(arguments)
        return MANIFEST

    outcome = handlers.ingest(results_event(context, 50), context, run)
    wanted = snapshot.Objective("loss", "maximize")
    assert asked == [(50, ("s3://panda/hpo/30456789/",), wanted, awaited, "s3://snapshots/hpo")]
    assert outcome is not None
    assert outcome.id == "50:d1"
    assert outcome.data.model_dump() == {
        "jeditaskid": 50,
        "runs": 2,
        "points": 2,
        "segments": ("seg",),
        "lost": ({"name": "x.tgz", "reason": "is cut short"},),
        "best_value": None,
        "digest": "d1",
    }


def test_ingest_of_a_task_that_ended_does_nothing(context: Context) -> None:
    release(context, 51)
    asked: list[Any] = []

    def run(*arguments: Any, **_: Any) -> snapshot.Manifest:
        asked.append(arguments)
        return MANIFEST

    assert handlers.ingest(visualize_event(context.now() - HOUR, jeditaskid=51), context, run) is None
    assert asked == []


def test_ingest_without_any_artifacts_names_the_field(context: Context) -> None:
    with pytest.raises(Permanent) as refusal:
        handlers.ingest(results_event(context, 52), context, lambda *_: MANIFEST)
    assert refusal.value.field == "data.artifacts"


@pytest.mark.parametrize(
    ("error", "expected"), [(StoreUnavailable("the store is away"), Transient), (AccessDenied("no"), Permanent)]
)
def test_a_store_that_fails_is_passing_or_not(context: Context, error: Exception, expected: type[Exception]) -> None:
    def run(*_: Any, **__: Any) -> snapshot.Manifest:
        raise error

    with pytest.raises(expected, match=str(error)):
        handlers.ingest(results_event(context, 53, ["s3://panda/hpo/53/"]), context, run)
