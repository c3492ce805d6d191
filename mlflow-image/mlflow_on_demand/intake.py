"""Takes one tarball in: its runs, parameters, tags, metric points and artifacts, as one unit that counts or does not.

Reads the stream once, front to back, in whatever order the files come. Nothing of a tarball is visible in the database
before all of it was read and found good.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from mlflow_on_demand.bundle import Spool, Spooled
from mlflow_on_demand.database import SnapshotDatabase
from mlflow_on_demand.errors import TarballError
from mlflow_on_demand.filestore import (
    MetricPoint,
    Part,
    Place,
    RunMeta,
    place_of,
    read_experiment_times,
    read_metric,
    read_run_meta,
    read_text,
)
from mlflow_on_demand.unpack import Limits, Member, read_members

_MAX_META_BYTES = 2**20


@dataclass
class RunTaken:
    """What one run's directory held; `artifacts` are in the spool under `<stage>/<path>`."""

    stage: int
    meta: RunMeta | None = None
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    artifacts: dict[str, Spooled] = field(default_factory=dict)
    points: int = 0
    is_deleted: bool = False


@dataclass
class TarballTaken:
    """What one tarball held."""

    runs: dict[tuple[str, str], RunTaken] = field(default_factory=dict)
    experiment_tags: dict[str, str] = field(default_factory=dict)
    created: list[int] = field(default_factory=list)
    updated: list[int] = field(default_factory=list)
    damaged_lines: int = 0


class Intake:
    """Reads tarballs one after the other; metric points go to the database's stage, artifacts to the spool."""

    def __init__(self, database: SnapshotDatabase, spool: Spool, limits: Limits) -> None:
        self._database = database
        self._spool = spool
        self._limits = limits
        self._text_bytes = 0

    def take(self, stream: BinaryIO) -> TarballTaken:
        """Read a whole tarball. TarballError if it must be given up: then nothing of it is left behind."""
        mark = self._spool.mark()
        self._database.drop_staged()
        self._text_bytes = 0
        try:
            return self._take_all(stream)
        except BaseException:
            self._spool.cut(mark)
            self._database.drop_staged()
            raise

    def _take_all(self, stream: BinaryIO) -> TarballTaken:
        taken = TarballTaken()
        for member in read_members(stream, self._limits):
            place = place_of(member.path)
            if place is not None:
                self._take_member(taken, place, member)
        if not taken.runs:
            raise TarballError("holds no run of MLflow")
        return taken

    def _take_member(self, taken: TarballTaken, place: Place, member: Member) -> None:
        if place.part is Part.EXPERIMENT_META:
            self._take_experiment_times(taken, member)
            return
        if place.part is Part.EXPERIMENT_TAG:
            taken.experiment_tags[place.key] = read_text(self._text(member))
            return
        run = taken.runs.setdefault((place.experiment, place.run), RunTaken(stage=len(taken.runs)))
        run.is_deleted = run.is_deleted or place.is_deleted
        if place.part is Part.META:
            run.meta = read_run_meta(self._text(member)) if member.size <= _MAX_META_BYTES else None
        elif place.part is Part.PARAM:
            run.params[place.key] = read_text(self._text(member))
        elif place.part is Part.TAG:
            run.tags[place.key] = read_text(self._text(member))
        elif place.part is Part.ARTIFACT:
            run.artifacts[place.key] = self._spool.add(place.key, member.content)
        else:
            points = _whole_points(taken, read_metric(member.content))
            run.points += self._database.stage_metric(run.stage, place.key, points)

    def _take_experiment_times(self, taken: TarballTaken, member: Member) -> None:
        created, updated = read_experiment_times(self._text(member))
        taken.created += [created] if created is not None else []
        taken.updated += [updated] if updated is not None else []

    def _text(self, member: Member) -> bytes:
        self._text_bytes += member.size
        if self._text_bytes > self._limits.max_text_bytes:
            raise TarballError(f"holds more than {self._limits.max_text_bytes} bytes of parameters and tags")
        return member.content.read()


def _whole_points(taken: TarballTaken, points: Iterator[MetricPoint | None]) -> Iterator[MetricPoint]:
    for point in points:
        if point is None:
            taken.damaged_lines += 1
        else:
            yield point
