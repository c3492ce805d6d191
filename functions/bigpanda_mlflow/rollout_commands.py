"""What a new image, or an operator's command, means for the records of rollouts: pure.

Promises: the same event again changes nothing, an older one neither; of two images the one published later wins, in
whatever order they arrive.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from bigpanda_mlflow.errors import Permanent
from bigpanda_mlflow.events import Event, ImagePublished, RolloutCommand
from bigpanda_mlflow.rollout_state import (
    Data,
    Rollout,
    RolloutPhase,
    make_rollout,
    move,
    newest_rollout,
    put_rollout,
    stable_image,
)

_GAVE_UP = {RolloutPhase.ROLLED_BACK, RolloutPhase.ABORTED}


def publish(data: Mapping[str, str], event: Event[ImagePublished], image_of_settings: str, now: datetime) -> Data:
    """The records with a rollout of this image, which supersedes one that is not finished; unchanged where the newest
    is of the same image (but for one that was given up: then it is tried anew) or of a newer event.
    """
    newest = newest_rollout(data)
    begun = make_rollout(event.key, event.data, stable_image(data, image_of_settings), now)
    if newest is None:
        return put_rollout(data, begun)
    if event.key <= newest.published or (newest.image == begun.image and newest.phase not in _GAVE_UP):
        return dict(data)
    if newest.phase.is_open:
        data = put_rollout(data, move(newest, RolloutPhase.SUPERSEDED, now, f"{begun.name} is newer"))
    return put_rollout(data, begun)


def command(data: Mapping[str, str], event: Event[RolloutCommand], now: datetime) -> Data:
    """The records after an operator's command. Raises Permanent, naming the field, for what makes no sense."""
    newest, wanted = newest_rollout(data), event.data
    if newest is None:
        raise Permanent("there is no rollout", "data.command")
    if wanted.rollout not in (None, newest.name):
        raise Permanent(f"is not the newest rollout, which is {newest.name}", "data.rollout")
    if event.key.time < newest.published.time or (newest.command is not None and event.key <= newest.command):
        return dict(data)
    return put_rollout(data, replace(_obey(newest, wanted, now), command=event.key))


def _obey(rollout: Rollout, wanted: RolloutCommand, now: datetime) -> Rollout:
    phase, asked = rollout.phase, "an operator asked for it"
    match wanted.command:
        case "pause" if phase.is_moving:
            obeyed = replace(rollout, paused=True)
        case "resume" if phase is RolloutPhase.HALTED:
            # What failed is tried once more; the functions are looked at again first, they may have been the fault.
            obeyed = replace(move(rollout, RolloutPhase.PREPARING, now), paused=False, round=rollout.round + 1)
        case "resume" if phase.is_moving:
            obeyed = replace(rollout, paused=False)
        case "promote" if phase.is_moving:
            obeyed = replace(rollout, hurried_at=now)
        case "rollback" if phase in {RolloutPhase.ROLLING_BACK, RolloutPhase.ROLLED_BACK}:
            obeyed = replace(rollout, paused=False)
        case "rollback" if phase is not RolloutPhase.SUPERSEDED:
            obeyed = replace(move(rollout, RolloutPhase.ROLLING_BACK, now, asked), paused=False)
        case "abort" if phase.is_open:
            obeyed = replace(move(rollout, RolloutPhase.ABORTING, now, asked), paused=False)
        case _:
            raise Permanent(f"{wanted.command} means nothing to a rollout that is {phase.value}", "data.command")
    return obeyed
