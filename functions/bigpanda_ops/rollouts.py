"""Rollouts as they stand in the cluster, once or as they go on."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from bigpanda_mlflow.errors import Permanent
from bigpanda_mlflow.events import Event, EventKey, EventType, RolloutCommand
from bigpanda_mlflow.rollout_commands import command
from bigpanda_mlflow.rollout_state import Rollout, RolloutPhase, newest_rollout
from bigpanda_ops.connection import Connection, reaching
from bigpanda_ops.outcomes import Unreachable, Wrong
from bigpanda_ops.rollout_view import View, find_rollout, make_view

_GIVEN_UP = (RolloutPhase.ROLLED_BACK, RolloutPhase.ABORTED)
_EVERY_SECONDS = 2.0
_BEGIN_SECONDS = 120.0
"""An event waits for its function to wake, and for the broker's retries."""


def look(connection: Connection, name: str | None) -> View | None:
    """The rollout of that name, or the newest; None where there is none. Raises Unreachable."""
    with reaching():
        rollout = find_rollout(connection.cluster.get_rollouts(), name)
        return None if rollout is None else make_view(rollout, connection.cluster.list_services())


def follow(connection: Connection, name: str) -> Iterator[View]:
    """The rollout at each look, the last when it moves no more. Raises Unreachable."""
    while True:
        view = look(connection, name)
        if view is None:
            raise Wrong(f"the record of rollout {name} is gone")
        yield view
        if not view.rollout.phase.is_moving:
            return
        time.sleep(_EVERY_SECONDS)


def check_command(connection: Connection, data: RolloutCommand) -> None:
    """Raises Wrong for what the function would refuse: told here it is told at once, and not by a dead letter."""
    now = datetime.now(UTC)
    event = Event(EventKey(now, "check"), EventType.ROLLOUT_COMMAND, data)
    with reaching():
        records = connection.cluster.get_rollouts()
    try:
        command(records, event, now)
    except Permanent as error:
        raise Wrong(str(error)) from None


def await_begin(connection: Connection, image: str, key: EventKey) -> str:
    """The name of the rollout that this event has begun, or that has its image already: the same again begins none.

    Raises Wrong where a newer image was quicker, Unreachable where nothing begins.
    """

    def is_it(newest: Rollout) -> bool:
        if newest.image != image and newest.published > key:
            raise Wrong(f"a newer image was published meanwhile: {newest.name}")
        return newest.image == image and (newest.published >= key or newest.phase not in _GIVEN_UP)

    return _await(connection, is_it)


def await_command(connection: Connection, name: str, key: EventKey) -> str:
    """The rollout's name, once it has taken this command, or a newer one.

    Raises Wrong where a newer rollout took its place, Unreachable where nothing happens.
    """

    def is_it(newest: Rollout) -> bool:
        if newest.name != name:
            raise Wrong(f"a newer rollout began meanwhile: {newest.name}")
        return newest.command is not None and newest.command >= key

    return _await(connection, is_it)


def _await(connection: Connection, is_it: Callable[[Rollout], bool]) -> str:
    deadline = time.monotonic() + _BEGIN_SECONDS
    while time.monotonic() < deadline:
        with reaching():
            newest = newest_rollout(connection.cluster.get_rollouts())
        if newest is not None and is_it(newest):
            return newest.name
        time.sleep(_EVERY_SECONDS)
    seconds = f"{_BEGIN_SECONDS:.0f} s"
    raise Unreachable(f"nothing came of the event in {seconds}: see the log of the function rollout, and dead letters")
