"""One function an event: read, plan, apply.

Promises: any handler can be called again with the same event, at any time and beside itself, after a crash at any
point, and the cluster ends in the same state. Decisions are pure and elsewhere; here is only what carries them out,
again from a fresh reading whenever somebody else was quicker.
"""

import logging
import random
import time
from collections.abc import Callable
from datetime import datetime
from typing import Protocol, TypeVar

from bigpanda_mlflow.context import Context
from bigpanda_mlflow.errors import ClusterConflict, FunctionError, Permanent, Transient
from bigpanda_mlflow.events import (
    Event,
    EventType,
    LostTarball,
    Outcome,
    Release,
    Results,
    ServiceExpired,
    ServiceFailed,
    ServiceReady,
    SnapshotPublished,
    Visualize,
)
from bigpanda_mlflow.expiry import Ending, plan_expiry
from bigpanda_mlflow.names import page_url, service_name
from bigpanda_mlflow.policy import check_artifacts, check_request
from bigpanda_mlflow.sink import send
from bigpanda_mlflow.sweeping import is_finished, is_worth_a_look, look_at_each, make_results, plan_awaited
from bigpanda_mlflow.taskservice import TaskService
from bigpanda_mlflow.tombstones import Reason, Tombstone, bury, mark_announced, prune, unannounced
from bigpanda_mlflow.visualization import Create, Keep, Refuse, Renew, plan_visualize
from mlflow_on_demand import snapshot
from mlflow_on_demand.awaited import Awaited
from mlflow_on_demand.errors import OnDemandError

log = logging.getLogger(__name__)
ResultT = TypeVar("ResultT")

_ATTEMPTS = 40
"""Eight clients that write one object at once need some ten; past this, something is wrong with the cluster."""
_SWEEP_SECONDS = 240.0
"""Below the timeout of its Service."""


class Ingest(Protocol):
    """Makes the published snapshot one of the task's tarballs as they are now, and says what it holds."""

    def __call__(
        self,
        jeditaskid: int,
        artifacts: tuple[str, ...],
        objective: snapshot.Objective | None,
        awaited: Awaited | None,
        snapshot_store: str,
    ) -> snapshot.Manifest:
        """Raises OnDemandError."""


class FindNews(Protocol):
    """What lies in a task's stores that its published snapshot does not know; nothing, once the task is finished."""

    def __call__(
        self,
        jeditaskid: int,
        artifacts: tuple[str, ...],
        snapshot_store: str,
        is_finished: Callable[[snapshot.Manifest | None, int], bool],
    ) -> tuple[snapshot.Source, ...]:
        """Raises OnDemandError."""


def visualize(event: Event[Visualize], context: Context) -> Outcome:
    """Makes the task's Service exist until its lifetime ends, and answers with its URL or the reason why not."""
    check_request(event.data, context.settings)
    task = event.data.jeditaskid

    def settle() -> Outcome:
        refusal = _apply_visualize(event, context)
        if refusal is not None:
            return _failed(event, task, refusal, context)
        readiness = context.cluster.wait_until_ready(service_name(task), context.settings.ready_timeout.total_seconds())
        if readiness.status == "False":
            return _failed(event, task, f"the page cannot be served: {readiness.reason}", context)
        if readiness.status != "True":
            raise Transient(f"the page is not ready yet: {readiness.reason}")
        return _ready(event, context)

    return _again_on_conflict(settle)


def release(event: Event[Release], context: Context) -> Outcome | None:
    """Deletes the task's Service, and every older event with it, even one that is still to come."""
    task = event.data.jeditaskid

    def settle() -> Outcome | None:
        found = context.read(task)
        if found.service is not None and found.service.last > event.key:
            return None
        # Our reply announces it.
        _set(task, Tombstone(event.key, context.now(), "released", announced=True), context)
        service = context.read(task).service  # read anew: a create may have slipped in before the tombstone stood
        if service is not None and service.last <= event.key:
            context.cluster.delete_service(service)
            log.info("released", extra={"jeditaskid": task})
        return _expired(f"{event.key.id}:expired", task, "released", context.now())

    return _again_on_conflict(settle)


def expire(_: Event[None], context: Context) -> None:
    """Ends what is over, tells the broker, and forgets tombstones that no retry can reach any more."""
    endings = plan_expiry(context.cluster.task_services(), context.cluster.get_tombstones(), context.now())
    for ending in endings:
        try:
            _end(ending, context)
        except ClusterConflict:
            log.info(
                "changed while it was to end: left for the next time", extra={"jeditaskid": ending.service.jeditaskid}
            )
    _announce(context)
    retention = context.settings.tombstone_retention
    _again_on_conflict(lambda: context.cluster.change_tombstones(lambda data: prune(data, context.now(), retention)))


def sweep(_: Event[None], context: Context, find: FindNews, seconds: float = _SWEEP_SECONDS) -> None:
    """Tells the broker of each task that has tarballs which no ingest has seen.

    A task whose store does not answer, or whose event the broker does not take, waits for the next sweep.
    """
    settings, now = context.settings, context.now()

    def look(service: TaskService) -> None:
        task = service.jeditaskid
        try:
            check_artifacts(service.artifacts, settings.artifact_stores)
            news = find(
                task,
                service.artifacts,
                settings.snapshot_store,
                lambda manifest, published: is_finished(service, manifest, published, settings.sweep_patience, now),
            )
            if news:
                send(settings, make_results(task, news, now))
                log.info("has something new", extra={"jeditaskid": task, "tarballs": len(news)})
        except (OnDemandError, FunctionError) as error:
            log.warning("left for the next sweep", extra={"jeditaskid": task, "reason": str(error)})
        except Exception:
            log.exception("left for the next sweep", extra={"jeditaskid": task})

    services = [service for service in context.cluster.task_services() if is_worth_a_look(service, now)]
    late = look_at_each(services, look, seconds)
    log.info("swept", extra={"tasks": len(services), "late": late})


def ingest(event: Event[Visualize] | Event[Results], context: Context, run: Ingest) -> Outcome | None:
    """Makes the task's snapshot what its tarballs say, and answers with what is published then."""
    data = event.data
    found = context.read(data.jeditaskid)
    if found.tombstone is not None and event.key <= found.tombstone.last:
        return None
    artifacts, objective = data.artifacts or (), data.objective if isinstance(data, Visualize) else None
    if isinstance(data, Results) and found.service is not None:
        artifacts, objective = artifacts or found.service.artifacts, found.service.objective
    if not artifacts:
        raise Permanent("names no artifacts, and the task has no Service that would", "data.artifacts")
    check_artifacts(artifacts, context.settings.artifact_stores)
    wanted = None if objective is None else snapshot.Objective(objective.metric, objective.direction)
    awaited = plan_awaited(event, found.service, context.settings.sweep_patience)
    try:
        manifest = run(data.jeditaskid, artifacts, wanted, awaited, context.settings.snapshot_store)
    except OnDemandError as error:
        raise (Transient(str(error)) if error.transient else Permanent(str(error), "data.artifacts")) from error
    # The digest is the identity: whoever hears of the same snapshot twice can tell.
    identity = f"{data.jeditaskid}:{manifest.digest}"
    return Outcome(EventType.SNAPSHOT_PUBLISHED, identity, context.now(), _published(manifest))


def _apply_visualize(event: Event[Visualize], context: Context) -> str | None:
    """Until the plan is to keep what is there (None), or to refuse (the reason). Raises ClusterConflict."""
    # After a write the plan is made once more: a tombstone that was set meanwhile must win over what was written.
    for _ in range(3):
        found = context.read(event.data.jeditaskid)
        match plan_visualize(event, found, context.settings_of_new_tasks, context.now()):
            case Keep():
                return None
            case Create(service):
                context.cluster.create_service(service)
                log.info("created", extra={"jeditaskid": event.data.jeditaskid})
            case Renew(service):
                context.cluster.replace_service(service)
                log.info("extended", extra={"jeditaskid": event.data.jeditaskid})
            case Refuse(reason, remove, tombstone):
                if tombstone is not None:
                    _set(event.data.jeditaskid, tombstone, context)
                if remove is not None:
                    context.cluster.delete_service(remove)
                return reason
    raise ClusterConflict("the Service keeps changing")


def _set(jeditaskid: int, tombstone: Tombstone, context: Context) -> None:
    context.cluster.change_tombstones(lambda data: bury(data, jeditaskid, tombstone))


def _end(ending: Ending, context: Context) -> None:
    # Tombstone first: a crash before the deletion is finished by the next run, one after it would forget.
    service, stone = ending.service, ending.tombstone
    _again_on_conflict(lambda: _set(service.jeditaskid, stone, context))
    context.cluster.delete_service(service)
    log.info("%s", stone.reason, extra={"jeditaskid": service.jeditaskid})


def _announce(context: Context) -> None:
    standing = {service.jeditaskid: service for service in context.cluster.task_services()}
    endings = {
        task: stone
        for task, stone in unannounced(context.cluster.get_tombstones()).items()
        if task not in standing or standing[task].last > stone.last
    }
    if not endings:
        return
    for task, stone in endings.items():
        send(context.settings, _expired(f"{stone.last.id}:expired", task, stone.reason, stone.ended_at))
    _again_on_conflict(lambda: context.cluster.change_tombstones(lambda data: mark_announced(data, endings)))


def _again_on_conflict(step: Callable[[], ResultT]) -> ResultT:
    for attempt in range(_ATTEMPTS):
        try:
            return step()
        except ClusterConflict:
            time.sleep(random.uniform(0, 0.01 * min(attempt + 1, 10)))  # noqa: S311 (spreads the clients, nothing else)
    raise Transient("others keep changing the same objects")


def _ready(event: Event[Visualize], context: Context) -> Outcome:
    task = event.data.jeditaskid
    service = context.read(task).service
    if service is None or service.expires_at is None:
        raise ClusterConflict(f"{service_name(task)} was deleted or edited meanwhile")
    data = ServiceReady(jeditaskid=task, url=page_url(context.settings.page_url, task), expires_at=service.expires_at)
    return Outcome(EventType.READY, f"{event.key.id}:ready", context.now(), data)


def _failed(event: Event[Visualize], task: int, reason: str, context: Context) -> Outcome:
    return Outcome(
        EventType.FAILED, f"{event.key.id}:failed", context.now(), ServiceFailed(jeditaskid=task, reason=reason)
    )


def _expired(identity: str, task: int, reason: Reason, when: datetime) -> Outcome:
    return Outcome(EventType.EXPIRED, identity, when, ServiceExpired(jeditaskid=task, reason=reason))


def _published(manifest: snapshot.Manifest) -> SnapshotPublished:
    return SnapshotPublished(
        jeditaskid=manifest.jeditaskid,
        runs=manifest.runs,
        points=manifest.points,
        segments=tuple(experiment.segment for experiment in manifest.experiments if experiment.segment),
        lost=tuple(LostTarball(name=lost.name, reason=lost.reason) for lost in manifest.lost),
        best_value=None if manifest.best is None else manifest.best.value,
        digest=manifest.digest,
    )
