"""The events of this project: their types, their data, and how one precedes another.

The data models are the contract with BigPanDA: they are exported as JSON Schema, unknown fields are ignored, and what
is wrong is said by the path of its field. Field names and types follow CloudEvents 1.0 and PanDA's own words.
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Final, Generic, Literal, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from mlflow_on_demand.settings import MAX_JEDITASKID

SOURCE: Final = "/bigpanda"


class EventType(StrEnum):
    """The `type` attribute of every event that goes in or out."""

    PING = "dev.knative.sources.ping"
    VISUALIZE = "ch.cern.bigpanda.task.visualize"
    RESULTS = "ch.cern.bigpanda.task.results"
    RELEASE = "ch.cern.bigpanda.task.release"
    READY = "ch.cern.bigpanda.service.ready"
    FAILED = "ch.cern.bigpanda.service.failed"
    EXPIRED = "ch.cern.bigpanda.service.expired"
    SNAPSHOT_PUBLISHED = "ch.cern.bigpanda.snapshot.published"
    IMAGE_PUBLISHED = "ch.cern.bigpanda.image.published"
    ROLLOUT_COMMAND = "ch.cern.bigpanda.rollout.command"
    ROLLOUT_PROGRESSED = "ch.cern.bigpanda.rollout.progressed"


def _only_iso_duration(value: object) -> object:
    # pydantic would also take a bare number (seconds) and "1 day, 0:00:00": one spelling, as the contract says.
    if isinstance(value, timedelta) or (isinstance(value, str) and value.startswith("P")):
        return value
    raise ValueError("an ISO 8601 duration is needed, such as P7D or PT12H")


def _above_zero(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise ValueError("a duration above zero is needed")
    return value


JediTaskId = Annotated[int, Field(strict=True, ge=1, le=MAX_JEDITASKID, description="PanDA's id of the task")]
Duration = Annotated[timedelta, BeforeValidator(_only_iso_duration), AfterValidator(_above_zero)]
ShortText = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$")]


RolloutName = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$", description="name of a rollout, as its record has it")]


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    @property
    def subject(self) -> str | None:
        """The CloudEvent's `subject`; None where the data does not decide it."""
        return None


class Objective(_Data):
    """What the task optimises."""

    metric: ShortText = Field(description="name of the metric, as the runs log it")
    direction: Literal["minimize", "maximize"] = Field(description="which way is better")


class _TaskData(_Data):
    jeditaskid: JediTaskId

    @property
    def subject(self) -> str:
        """The task."""
        return str(self.jeditaskid)


class Visualize(_TaskData):
    """Somebody wants to look at a task: its page shall exist, and its results be ingested."""

    owner: ShortText = Field(description="who asked, for the record")
    artifacts: tuple[Annotated[str, Field(min_length=1, max_length=1024)], ...] = Field(
        min_length=1,
        max_length=64,
        description="where the metrics tarballs are: URI prefixes ending in /, files, or BigPanDA's export",
    )
    lifetime: Duration = Field(description="how long the page shall stay, from the event's time; ISO 8601 duration")
    objective: Objective | None = Field(default=None, description="sorts the runs, best first")
    max_points: int | None = Field(default=None, strict=True, ge=1, description="points that the task was to evaluate")
    prewarm: bool = Field(default=False, strict=True, description="start the page's first pod before anybody clicks")


class Results(_TaskData):
    """New metrics tarballs may be there."""

    artifacts: tuple[Annotated[str, Field(min_length=1, max_length=1024)], ...] | None = Field(
        default=None, min_length=1, max_length=64, description="as in visualize; else those of the task's Service"
    )


class Release(_TaskData):
    """Nobody needs the task's page any more: delete it now."""


class ServiceReady(_TaskData):
    """The page exists; opening it wakes it."""

    url: str
    expires_at: AwareDatetime


class ServiceFailed(_TaskData):
    """There is no page, and asking again in the same way will not make one."""

    reason: str


class ServiceExpired(_TaskData):
    """The page is gone."""

    reason: Literal["expired", "released"]


class LostTarball(_Data):
    """A tarball, or a part of one, that could not be used."""

    name: str
    reason: str


class SnapshotPublished(_TaskData):
    """The task's results were ingested and can be looked at."""

    runs: int
    points: int
    segments: tuple[str, ...]
    lost: tuple[LostTarball, ...]
    best_value: float | None
    digest: str


class ImagePublished(_Data):
    """There is a new MLflow image: roll it out."""

    image: str = Field(
        pattern=r"^[a-z0-9][a-z0-9._:/-]{0,254}@sha256:[0-9a-f]{64}$",
        description="the image by digest, `registry/name@sha256:…`: a tag could mean another image tomorrow",
    )
    version: str = Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z.+-]{0,62}$", description="version of the MLflow in it")


class RolloutCommand(_Data):
    """What an operator wants of the newest rollout."""

    command: Literal["pause", "resume", "promote", "rollback", "abort"] = Field(
        description="pause: take no step; resume: go on, also after a halt; promote: the present soak times are over; "
        "rollback: every page back to its previous Revision; abort: stop, what is promoted stays"
    )
    rollout: RolloutName | None = Field(
        default=None, description="the rollout that is meant: refused if it is not the newest; else the newest"
    )


class RolloutProgressed(_Data):
    """A rollout came to another phase or cohort."""

    rollout: RolloutName
    image: str
    version: str
    phase: str
    cohort: int = Field(description="1 is the first")
    services: int = Field(description="pages of the fleet when this was last counted")
    promoted: int
    failed: int
    reason: str | None

    @property
    def subject(self) -> str:
        """The rollout."""
        return self.rollout


DATA_MODELS: Final[dict[EventType, type[_Data]]] = {
    EventType.VISUALIZE: Visualize,
    EventType.RESULTS: Results,
    EventType.RELEASE: Release,
    EventType.READY: ServiceReady,
    EventType.FAILED: ServiceFailed,
    EventType.EXPIRED: ServiceExpired,
    EventType.SNAPSHOT_PUBLISHED: SnapshotPublished,
    EventType.IMAGE_PUBLISHED: ImagePublished,
    EventType.ROLLOUT_COMMAND: RolloutCommand,
    EventType.ROLLOUT_PROGRESSED: RolloutProgressed,
}
"""Which data an event of a type carries. A ping's data mean nothing here."""


@dataclass(frozen=True, order=True)
class EventKey:
    """Which of two events is the newer: by `time`, and by `id` where times are equal, so that any order of delivery
    ends the same.
    """

    time: datetime
    id: str


DataT = TypeVar("DataT")


@dataclass(frozen=True)
class Event(Generic[DataT]):
    """One incoming event, checked."""

    key: EventKey
    type: EventType
    data: DataT


@dataclass(frozen=True)
class Outcome:
    """One outgoing event before it is put on the wire. `id` is derived from its cause, so a repetition is
    recognised.
    """

    type: EventType
    id: str
    time: datetime
    data: ServiceReady | ServiceFailed | ServiceExpired | SnapshotPublished | Results | RolloutProgressed


def json_schemas() -> dict[str, Any]:
    """The JSON Schema of every event's data, by type: what BigPanDA can check its events against."""
    return {kind.value: model.model_json_schema() for kind, model in DATA_MODELS.items()}


if __name__ == "__main__":
    print(json.dumps(json_schemas(), indent=2))
