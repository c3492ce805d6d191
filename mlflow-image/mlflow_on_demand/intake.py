"""Takes one tarball in: its runs, logged models, metric points and artifacts, as one unit that counts or does not.

Reads the stream once, front to back, in whatever order the files come. Nothing of a tarball is visible in the database
before all of it was read and found good.
"""

from collections.abc import Iterator
from typing import BinaryIO, TypeVar

from mlflow_on_demand.bundle import Spool
from mlflow_on_demand.errors import TarballError
from mlflow_on_demand.filestore import (
    Part,
    Place,
    place_of,
    read_experiment_times,
    read_run_meta,
    read_text,
)
from mlflow_on_demand.lineage import (
    read_dataset,
    read_input,
    read_model_meta,
    read_model_metric,
    read_output,
)
from mlflow_on_demand.points import HeldPoints, PointsHold, read_metric
from mlflow_on_demand.registry import read_model_version, read_registered_model
from mlflow_on_demand.taken import ModelTaken, RegisteredTaken, RunTaken, TarballTaken, TraceTaken, VersionTaken
from mlflow_on_demand.traces import read_assessment, read_trace_info
from mlflow_on_demand.unpack import Limits, Member, read_members

Read = TypeVar("Read")

_MAX_META_BYTES = 2**20
_RUN_PARTS = frozenset({Part.META, Part.PARAM, Part.TAG, Part.METRIC, Part.ARTIFACT, Part.INPUT, Part.OUTPUT})
_MODEL_PARTS = frozenset({Part.MODEL_META, Part.MODEL_PARAM, Part.MODEL_TAG, Part.MODEL_METRIC, Part.MODEL_ARTIFACT})
_TRACE_PARTS = frozenset(
    {Part.TRACE_INFO, Part.TRACE_TAG, Part.TRACE_METADATA, Part.TRACE_ASSESSMENT, Part.TRACE_ARTIFACT}
)
_REGISTERED_PARTS = frozenset({Part.REGISTERED_META, Part.REGISTERED_TAG, Part.REGISTERED_ALIAS})
_VERSION_PARTS = frozenset({Part.VERSION_META, Part.VERSION_TAG})


class Intake:
    """Reads tarballs one after the other; metric points go to the hold until the next one, artifacts to the spool."""

    def __init__(self, hold: PointsHold, spool: Spool, limits: Limits) -> None:
        self._hold = hold
        self._spool = spool
        self._limits = limits
        self._text_bytes = 0

    def take(self, stream: BinaryIO) -> TarballTaken:
        """Read a whole tarball. TarballError if it must be given up: then nothing of it is left behind."""
        mark = self._spool.mark()
        self._hold.clear()
        self._text_bytes = 0
        try:
            return self._take_all(stream)
        except BaseException:
            self._spool.cut(mark)
            raise

    def _take_all(self, stream: BinaryIO) -> TarballTaken:
        taken = TarballTaken()
        for member in read_members(stream, self._limits):
            place = place_of(member.path)
            if place is not None:
                self._take_member(taken, place, member)
        if not (taken.runs or taken.traces or taken.registered):
            raise TarballError("holds no run of MLflow")
        return taken

    def _take_member(self, taken: TarballTaken, place: Place, member: Member) -> None:
        if place.part in _RUN_PARTS:
            run = taken.runs[place.experiment, place.owner]
            run.is_deleted = run.is_deleted or place.is_deleted
            self._take_of_run(taken, run, place, member)
        elif place.part in _MODEL_PARTS:
            model = taken.models[place.experiment, place.owner]
            self._take_of_model(taken, model, place, member)
        elif place.part in _TRACE_PARTS:
            trace = taken.traces[place.experiment, place.owner]
            self._take_of_trace(taken, trace, place, member)
        elif place.part in _REGISTERED_PARTS:
            self._take_of_registered(taken.registered[place.owner], place, member)
        elif place.part in _VERSION_PARTS:
            name, _, directory = place.owner.partition("/")
            self._take_of_version(taken.registered[name].versions[directory], place, member)
        elif place.part is Part.EXPERIMENT_META:
            self._take_experiment_times(taken, member)
        elif place.part is Part.EXPERIMENT_TAG:
            taken.experiment_tags[place.key] = read_text(self._text(member))
        else:
            dataset = self._known(taken, member, read_dataset(self._meta(member)))
            if dataset is not None:
                taken.datasets[place.experiment, place.key] = dataset

    def _take_of_run(self, taken: TarballTaken, run: RunTaken, place: Place, member: Member) -> None:
        if place.part is Part.META:
            run.meta = read_run_meta(self._meta(member))
        elif place.part is Part.PARAM:
            run.params[place.key] = read_text(self._text(member))
        elif place.part is Part.TAG:
            run.tags[place.key] = read_text(self._text(member))
        elif place.part is Part.ARTIFACT:
            run.artifacts[place.key] = self._spool.add(place.key, member.content)
        elif place.part is Part.METRIC:
            self._take_points(taken, run, run.metrics.setdefault(place.key, []), member)
        else:
            meta = self._meta(member)
            link = self._known(
                taken, member, read_input(meta) if place.part is Part.INPUT else read_output(place.key, meta)
            )
            run.links += [link] if link is not None else []

    def _take_points(self, taken: TarballTaken, run: RunTaken, held: list[HeldPoints], member: Member) -> None:
        for points, damaged in read_metric(member.content):
            held.append(self._hold.add(points))
            run.points += len(points)
            taken.damaged_lines += damaged

    def _take_of_model(self, taken: TarballTaken, model: ModelTaken, place: Place, member: Member) -> None:
        if place.part is Part.MODEL_META:
            model.meta = read_model_meta(self._meta(member))
        elif place.part is Part.MODEL_PARAM:
            model.params[place.key] = read_text(self._text(member))
        elif place.part is Part.MODEL_TAG:
            model.tags[place.key] = read_text(self._text(member))
        elif place.part is Part.MODEL_METRIC:
            model.metrics[place.key] = list(_whole(taken, read_model_metric(read_text(self._text(member)))))
        else:
            model.artifacts[place.key] = self._spool.add(place.key, member.content)

    def _take_of_trace(self, taken: TarballTaken, trace: TraceTaken, place: Place, member: Member) -> None:
        if place.part is Part.TRACE_INFO:
            trace.info = read_trace_info(place.owner, self._meta(member))
        elif place.part is Part.TRACE_TAG:
            trace.tags[place.key] = read_text(self._text(member))
        elif place.part is Part.TRACE_METADATA:
            trace.metadata[place.key] = read_text(self._text(member))
        elif place.part is Part.TRACE_ARTIFACT:
            trace.artifacts[place.key] = self._spool.add(place.key, member.content)
        else:
            assessment = self._known(taken, member, read_assessment(place.key, self._meta(member)))
            trace.assessments += [assessment] if assessment is not None else []

    def _take_of_registered(self, model: RegisteredTaken, place: Place, member: Member) -> None:
        if place.part is Part.REGISTERED_META:
            model.meta = read_registered_model(place.owner, self._meta(member))
        elif place.part is Part.REGISTERED_TAG:
            model.tags[place.key] = read_text(self._text(member))
        else:
            model.aliases[place.key] = read_text(self._text(member))

    def _take_of_version(self, version: VersionTaken, place: Place, member: Member) -> None:
        if place.part is Part.VERSION_META:
            version.meta = read_model_version(self._meta(member))
        else:
            version.tags[place.key] = read_text(self._text(member))

    def _take_experiment_times(self, taken: TarballTaken, member: Member) -> None:
        created, updated = read_experiment_times(self._meta(member))
        taken.created += [created] if created is not None else []
        taken.updated += [updated] if updated is not None else []

    def _known(self, taken: TarballTaken, member: Member, read: Read | None) -> Read | None:
        if read is None:
            taken.unreadable.append("/".join(member.path))
        return read

    def _meta(self, member: Member) -> bytes:
        """A meta.yaml, or nothing when it is too large to be one."""
        return self._text(member) if member.size <= _MAX_META_BYTES else b""

    def _text(self, member: Member) -> bytes:
        self._text_bytes += member.size
        if self._text_bytes > self._limits.max_text_bytes:
            raise TarballError(f"holds more than {self._limits.max_text_bytes} bytes of parameters and tags")
        return member.content.read()


def _whole(taken: TarballTaken, lines: Iterator[Read | None]) -> Iterator[Read]:
    for line in lines:
        if line is None:
            taken.damaged_lines += 1
        else:
            yield line
