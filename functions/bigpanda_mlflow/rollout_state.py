"""What is remembered of rollouts: a record each in one ConfigMap, and on each Service where it stands.

All records live in the data of one ConfigMap (key = the rollout's name, value = JSON), so that "one rollout at a time"
and "the newer one takes over" are one atomic write each. The rollout of the newest `image.published` is the one that
counts. A record is also the outbox of its own news: `announced` is the last news that the broker
has, so that a crash in between tells it again rather than never.

Promises: what was written reads back the same; what nobody can read (edited by hand) counts as absent.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from pydantic import TypeAdapter, ValidationError

from bigpanda_mlflow.events import EventKey, ImagePublished
from bigpanda_mlflow.times import format_time

Data = dict[str, str]

KEPT: Final = 10
"""Records that are kept, with the newest: about 1 KiB each."""


class RolloutPhase(StrEnum):
    """All that a rollout can be at."""

    PREPARING = "preparing"
    """The new image's ingest is put beside the present one."""
    ROLLING = "rolling"
    """The cohort's Services get their candidates, which are verified and promoted."""
    SOAKING = "soaking"
    """The cohort is done; time shall show whether that was right."""
    COMPLETING = "completing"
    """The whole fleet is done, new tasks get the new image; those that were just made without it are caught up."""
    COMPLETED = "completed"
    HALTING = "halting"
    """Too many of a cohort failed: the whole cohort goes back."""
    HALTED = "halted"
    """The cohort is back; an operator decides: resume, rollback or abort. Or a newer image."""
    ROLLING_BACK = "rolling-back"
    ROLLED_BACK = "rolled-back"
    ABORTING = "aborting"
    ABORTED = "aborted"
    SUPERSEDED = "superseded"
    """A newer image was published before this one was everywhere."""

    @property
    def is_moving(self) -> bool:
        """Whether there are steps to take, unless it is paused."""
        return self in _MOVING

    @property
    def is_open(self) -> bool:
        """Whether it stands in the way of nothing but a newer image: neither finished nor given up."""
        return self in _MOVING or self is RolloutPhase.HALTED


_MOVING: Final = frozenset(
    {
        RolloutPhase.PREPARING,
        RolloutPhase.ROLLING,
        RolloutPhase.SOAKING,
        RolloutPhase.COMPLETING,
        RolloutPhase.HALTING,
        RolloutPhase.ROLLING_BACK,
        RolloutPhase.ABORTING,
    }
)


class ServicePhase(StrEnum):
    """Where a Service stands in a rollout."""

    CANDIDATE = "candidate"
    """The new Revision is beside the old one, with 0 % and a tag."""
    SHIFTING = "shifting"
    """The new Revision is verified and has a part of the traffic."""
    PROMOTED = "promoted"
    """The new Revision has all of the traffic; the old one is kept as `previous`."""
    FAILING = "failing"
    """All traffic is with the old Revision again, since the new one was found wanting; it is to be deleted."""
    FAILED = "failed"
    RETURNING = "returning"
    """As failing, but for the fleet's or an operator's reason, not this Service's own."""
    RETURNED = "returned"

    @property
    def is_settled(self) -> bool:
        """Whether nothing of this Service is left to do, whatever becomes of the rollout."""
        return self in {ServicePhase.PROMOTED, ServicePhase.FAILED, ServicePhase.RETURNED}


@dataclass(frozen=True)
class Rollout:
    """One image's way through the fleet.

    `stable_image` is what new tasks get until it is complete. `since` is when the phase, or its cohort, began; `cohort`
    counts from 0, `round` goes up when a halted cohort is tried again. Soak times that began before `hurried_at` are
    over. The counts are those of the last look at the fleet.
    """

    name: str
    image: str
    version: str
    stable_image: str
    published: EventKey
    phase: RolloutPhase
    since: datetime
    cohort: int = 0
    round: int = 1
    paused: bool = False
    hurried_at: datetime | None = None
    command: EventKey | None = None
    reason: str | None = None
    services: int = 0
    promoted: int = 0
    failed: int = 0
    announced: str = ""

    @property
    def news(self) -> str:
        """What `announced` says once the broker knows of this phase."""
        paused = ":paused" if self.paused else ""
        return f"{self.phase.value}:{self.cohort}:{self.round}{paused}"

    def as_json(self) -> dict[str, object]:
        """For people and scripts; cohorts count from 1 there."""
        fields: dict[str, object] = _ROLLOUT.dump_python(self, mode="json")
        fields = {**fields, "cohort": self.cohort + 1, "published": format_time(self.published.time)}
        hidden = {"announced", "command", "hurried_at"}
        return {name: value for name, value in fields.items() if name not in hidden and value is not None}


@dataclass(frozen=True, slots=True)
class ServiceState:
    """Where one Service stands in which rollout; the three are names of Revisions, empty where there is none.

    `since` is when it came to its phase and percent, `attempts` how often its candidate could not be judged yet.
    """

    rollout: str
    phase: ServicePhase
    since: datetime
    cohort: int = 0
    round: int = 1
    current: str = ""
    previous: str = ""
    candidate: str = ""
    percent: int = 0
    attempts: int = 0
    reason: str | None = None

    def as_json(self) -> dict[str, object]:
        """For people and scripts; cohorts count from 1 there."""
        fields: dict[str, object] = {**_STATE.dump_python(self, mode="json"), "cohort": self.cohort + 1}
        return {name: value for name, value in fields.items() if value not in (None, "")}


_ROLLOUT: Final = TypeAdapter(Rollout)
_STATE: Final = TypeAdapter(ServiceState)


def make_rollout(published: EventKey, image: ImagePublished, stable_image: str, now: datetime) -> Rollout:
    """The record of a rollout that begins. The same event gives the same name."""
    digest = image.image.rpartition(":")[2]
    name = f"{published.time:%Y%m%dt%H%M%S}{published.time.microsecond // 1000:03d}-{digest[:8]}"
    return Rollout(name, image.image, image.version, stable_image, published, RolloutPhase.PREPARING, now)


def read_rollout(data: Mapping[str, str], name: str) -> Rollout | None:
    """The record of that name."""
    try:
        return _ROLLOUT.validate_json(data[name])
    except (KeyError, ValidationError):
        return None


def read_rollouts(data: Mapping[str, str]) -> list[Rollout]:
    """All records, the newest first."""
    found = [rollout for name in data if (rollout := read_rollout(data, name)) is not None]
    return sorted(found, key=lambda rollout: rollout.published, reverse=True)


def newest_rollout(data: Mapping[str, str]) -> Rollout | None:
    """The one that counts: steps are taken in this one only."""
    return next(iter(read_rollouts(data)), None)


def put_rollout(data: Mapping[str, str], rollout: Rollout) -> Data:
    """`data` with this record; of the others the newest are kept."""
    others = [other for other in read_rollouts(data) if other.name != rollout.name][: KEPT - 1]
    return {one.name: _ROLLOUT.dump_json(one, exclude_none=True).decode() for one in (rollout, *others)}


def move(rollout: Rollout, phase: RolloutPhase, now: datetime, reason: str | None = None) -> Rollout:
    """The rollout come to another phase."""
    return replace(rollout, phase=phase, since=now, reason=reason)


def stable_image(data: Mapping[str, str], otherwise: str) -> str:
    """The image of new tasks: that of the last rollout which is complete, `otherwise` before the first."""
    newest = newest_rollout(data)
    if newest is None:
        return otherwise
    complete = newest.phase in {RolloutPhase.COMPLETING, RolloutPhase.COMPLETED}
    return newest.image if complete else newest.stable_image


def read_state(annotation: str | None) -> ServiceState | None:
    """What a Service's annotation says."""
    try:
        return None if annotation is None else _STATE.validate_json(annotation)
    except ValidationError:
        return None


def write_state(state: ServiceState) -> str:
    """The annotation's value."""
    return json.dumps(_STATE.dump_python(state, mode="json", exclude_defaults=True), separators=(",", ":"))
