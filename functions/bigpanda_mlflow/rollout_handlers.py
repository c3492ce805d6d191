"""What `rollout` does with an event: a new image, an operator's command, a published snapshot, or the time for a step.

Promises: a new image and a command are a change of the record and answered at once; steps are taken by one at a time
(a Lease), in bounded time, from what the cluster says and nothing else, so that any replica goes on after any crash. A
record that changes while pages are at work (a pause, a newer image) is seen within seconds, and no page moves after.
"""

import logging
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from bigpanda_mlflow import rollout_commands
from bigpanda_mlflow.cluster_fleet import Fleet
from bigpanda_mlflow.context import Context
from bigpanda_mlflow.errors import ClusterConflict, Transient
from bigpanda_mlflow.events import Event, EventType, ImagePublished, RolloutCommand, SnapshotPublished
from bigpanda_mlflow.rollout_functions import mirror
from bigpanda_mlflow.rollout_state import newest_rollout
from bigpanda_mlflow.rollout_steps import Steps
from bigpanda_mlflow.rollout_work import Verify

log = logging.getLogger(__name__)

STEP_SECONDS = 240.0
"""Pages are begun within this; with the one that is begun last, an answer comes before the Service's timeout."""
_ATTEMPTS = 40


def rollout(event: Event[Any], context: Context, verify: Verify, seconds: float = STEP_SECONDS) -> None:
    """One event of any type that concerns rollouts."""
    match event.type:
        case EventType.IMAGE_PUBLISHED:
            publish(event, context)
        case EventType.ROLLOUT_COMMAND:
            command(event, context)
        case EventType.SNAPSHOT_PUBLISHED:
            snapshot_published(event, context)
        case _:
            step(context, verify, seconds)


def publish(event: Event[ImagePublished], context: Context) -> None:
    """A rollout of this image is to be made; the next step begins it."""
    _record(context, lambda data: rollout_commands.publish(data, event, context.settings.mlflow_image, context.now()))
    log.info("published", extra={"image": event.data.image, "version": event.data.version})


def command(event: Event[RolloutCommand], context: Context) -> None:
    """An operator's word. Raises Permanent for what makes no sense."""
    _record(context, lambda data: rollout_commands.command(data, event, context.now()))
    log.info("commanded", extra={"command": event.data.command})


def snapshot_published(event: Event[SnapshotPublished], context: Context) -> None:
    """A page of another image than the one that ingested needs a snapshot of its own."""
    if newest_rollout(context.cluster.get_rollouts()) is not None:
        mirror(context, Fleet(context.cluster), event.data.jeditaskid, event.key.id)


def step(context: Context, verify: Verify, seconds: float) -> None:
    """As many steps of the newest rollout as are due and fit into the time; none while somebody else takes them."""
    newest = newest_rollout(context.cluster.get_rollouts())
    if newest is None or (newest.announced == newest.news and (newest.paused or not newest.phase.is_moving)):
        return
    fleet, holder = Fleet(context.cluster), uuid.uuid4().hex
    if not fleet.hold_lease(holder, context.now()):
        log.info("somebody else takes the steps")
        return
    try:
        Steps(context, fleet, verify, holder, seconds).take()
    finally:
        fleet.release_lease(holder)


def _record(context: Context, change: Callable[[Mapping[str, str]], dict[str, str]]) -> None:
    for _ in range(_ATTEMPTS):
        try:
            context.cluster.change_rollouts(change)
        except ClusterConflict:
            continue
        return
    raise Transient("others keep changing the records of rollouts")
