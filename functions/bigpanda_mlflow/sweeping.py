"""Which tasks are worth a look for new tarballs, and how many looks are taken at once.

PanDA tells this project nothing of a task's end, so a task counts as finished when every point that it was to evaluate
(`max_points` of its event) has left a tarball that could be read, or when nothing new has come for as long as the
deployment is patient: counted from the newest `visualize` event or the last snapshot, whichever is later. Asking for
the page again, or a `task.results` from BigPanDA, begins anew.
"""

import hashlib
import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from bigpanda_mlflow.events import EventType, Outcome, Results
from bigpanda_mlflow.taskservice import TaskService
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
    if manifest is not None and service.max_points is not None:
        all_are_there = len(manifest.sources) >= service.max_points and not manifest.lost
    else:
        all_are_there = False
    return all_are_there or max(service.last.time, datetime.fromtimestamp(published, UTC)) + patience < now


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
