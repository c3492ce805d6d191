"""Which tasks are worth a look for new tarballs, and how many looks are taken at once.

When a task counts as finished is a rule that its open page follows, too: see `mlflow_on_demand.awaited`, and `ingest`,
which tells the page. Asking for the page again, or a `task.results` from BigPanDA, begins anew.
"""

import hashlib
import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import datetime, timedelta
from typing import TypeVar

from bigpanda_mlflow.events import Event, EventType, Outcome, Results, Visualize
from bigpanda_mlflow.taskservice import TaskService
from mlflow_on_demand.awaited import Awaited
from mlflow_on_demand.snapshot import Manifest, Source

_AT_ONCE = 8
TaskT = TypeVar("TaskT")


def is_worth_a_look(service: TaskService, now: datetime) -> bool:
    """Whether it says where its tarballs lie, and is to stay."""
    return bool(service.artifacts) and (service.expires_at is None or service.expires_at > now)


def is_finished(
    service: TaskService, manifest: Manifest | None, published: int, patience: timedelta, now: datetime
) -> bool:
    """Whether no new tarballs are awaited; `published` is when `manifest` was, in seconds since 1970."""
    awaited = _make_awaited(service.max_points, service.last.time, patience)
    tarballs, lost = (len(manifest.sources), len(manifest.lost)) if manifest else (0, 0)
    return awaited.finished_at(tarballs, lost, published) < now.timestamp()


def plan_awaited(
    event: Event[Visualize] | Event[Results], service: TaskService | None, patience: timedelta
) -> Awaited | None:
    """What is awaited of the event's task, by the newest request for its page; None if there was none."""
    if isinstance(event.data, Visualize) and (service is None or service.last <= event.key):
        return _make_awaited(event.data.max_points, event.key.time, patience)
    return None if service is None else _make_awaited(service.max_points, service.last.time, patience)


def _make_awaited(max_points: int | None, asked: datetime, patience: timedelta) -> Awaited:
    return Awaited(max_points, int(asked.timestamp()), int(patience.total_seconds()))


def make_results(jeditaskid: int, news: Sequence[Source], now: datetime) -> Outcome:
    """The event that has a task ingested; finding the same again gives the same id."""
    finding = hashlib.sha256("\n".join(f"{one.uri} {one.size} {one.etag}" for one in news).encode()).hexdigest()
    return Outcome(EventType.RESULTS, f"{jeditaskid}:results:{finding[:16]}", now, Results(jeditaskid=jeditaskid))


def look_at_each(tasks: Sequence[TaskT], look: Callable[[TaskT], None], seconds: float) -> int:
    """Take a look at each, some at once, in no order: whom the time did not reach is not always the same.

    Returns when all is done or the time is up, with the number of those that were not done by then. What hangs in a
    look is left to end by itself.
    """
    pool = ThreadPoolExecutor(_AT_ONCE)
    looks = [pool.submit(look, task) for task in random.sample(tasks, len(tasks))]
    _, late = wait(looks, seconds)
    pool.shutdown(wait=False, cancel_futures=True)
    return len(late)
