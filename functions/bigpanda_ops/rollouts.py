"""Rollouts as they stand in the cluster, once or as they go on."""

import time
from collections.abc import Iterator
from datetime import datetime

from bigpanda_mlflow.rollout_state import read_rollouts
from bigpanda_ops.connection import Connection, reaching
from bigpanda_ops.outcomes import Unreachable, Wrong
from bigpanda_ops.rollout_view import View, find_rollout, make_view

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


def await_begin(connection: Connection, image: str, since: datetime) -> str:
    """The name of the rollout of that image, once an event that is no older than `since` has begun it.

    The same image again begins none: then it is the newest, if that has this image. Raises Unreachable.
    """
    deadline = time.monotonic() + _BEGIN_SECONDS
    while time.monotonic() < deadline:
        with reaching():
            found = read_rollouts(connection.cluster.get_rollouts())
        if found and found[0].image == image and (found[0].published.time >= since or found[0].phase.is_open):
            return found[0].name
        time.sleep(_EVERY_SECONDS)
    raise Unreachable(
        f"no rollout began within {_BEGIN_SECONDS:.0f} s: see the log of the function rollout and the dead letters"
    )
