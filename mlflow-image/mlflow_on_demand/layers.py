"""Adds tarballs to a published snapshot without a look at those that it has: as a layer, joined to what is known.

A layer is worth it while layers are few and small beside the rest (whoever opens the snapshot adds their rows), and
right while its runs, traces and registered models are new: a retried job, a version of a known model, a changed or
vanished tarball, another objective or another version of MLflow make the snapshot anew. Whichever way it came about,
the same tarballs give the same digest and the same rows.
"""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, replace

from mlflow_on_demand.errors import OnDemandError
from mlflow_on_demand.hyperparameters import Uses
from mlflow_on_demand.snapshot import FORMAT, BestRun, Experiment, Lost, Manifest, Objective, Source
from mlflow_on_demand.summary import Candidate, join_best
from mlflow_on_demand.tarballs import TarballName, missing_serials, parse_tarball_name

MAX_LAYERS = 8
# All layers together hold at most this part of the tarballs.
_MAX_PART = 5
_WORD = 2**256


class NoLayer(OnDemandError):
    """These tarballs change what the snapshot says of others: it must be made anew."""


@dataclass(frozen=True)
class TagFound:
    """An experiment's tag, and the tarball that said so last."""

    key: str
    value: str
    tarball: str


@dataclass(frozen=True)
class SegmentFound:
    """What is known of a segment's experiment; times in milliseconds since 1970."""

    segment: str
    experiment_id: int
    created: int | None
    updated: int | None
    tags: tuple[TagFound, ...]
    uses: Uses


@dataclass(frozen=True)
class Index:
    """What the next ingest must know of a snapshot: the ids of its runs, its segments, its best runs, the sum of its
    tarballs' checksums (hexadecimal), the ids of its traces, and the names of its registered models.
    """

    runs: Collection[str]
    segments: tuple[SegmentFound, ...]
    best: tuple[Candidate, ...]
    checksum: str
    traces: tuple[str, ...] = ()
    registered: tuple[str, ...] = ()


NOTHING = Index((), (), (), "0")


def find_new(
    present: Manifest, sources: Collection[Source], objective: Objective | None, version: str
) -> tuple[Source, ...] | None:
    """The tarballs that a layer on the present snapshot would bring, in order, or None when it must be made anew."""
    known = frozenset(present.sources)
    new = tuple(source for source in sources if source not in known)
    has_all = len(known) + len(new) == len(sources)
    as_before = (present.objective, present.mlflow_version) == (objective, version) and has_all
    layered = sum(layer.tarballs for layer in present.layers) + len(new)
    is_small = len(present.layers) < MAX_LAYERS and layered * _MAX_PART <= len(sources)
    return new if present.index is not None and as_before and is_small else None


def join_index(objective: Objective | None, known: Index, new: Index) -> Index:
    """What is known with the new runs; segments are complete in each of them, as far as they occur."""
    segments = {one.segment: one for one in (*known.segments, *new.segments)}
    return Index(
        runs=tuple(sorted((*known.runs, *new.runs))),
        segments=tuple(segments[segment] for segment in sorted(segments)),
        best=join_best(objective, known.best, new.best),
        checksum=add_checksum(known.checksum, int(new.checksum, 16)),
        traces=tuple(sorted((*known.traces, *new.traces))),
        registered=tuple(sorted((*known.registered, *new.registered))),
    )


def add_checksum(checksum: str, other: int) -> str:
    """The sum, in which the order of tarballs does not matter."""
    return f"{(int(checksum, 16) + other) % _WORD:x}"


def join_manifest(present: Manifest, layer: Manifest, sources: Collection[Source], best: BestRun | None) -> Manifest:
    """The present manifest with what a layer's own says; digest and objects are still those of the present one."""
    names = (name for source in sources if (name := parse_tarball_name(source.name, present.jeditaskid)))
    return replace(
        present,
        sources=sources,
        lost=in_order(present.jeditaskid, (*present.lost, *layer.lost)),
        missing_serials=missing_serials(name.serial for name in names),
        experiments=_join_experiments(present.experiments, layer.experiments),
        runs=present.runs + layer.runs,
        points=present.points + layer.points,
        metric_points=present.metric_points + layer.metric_points,
        damaged_lines=present.damaged_lines + layer.damaged_lines,
        best=best,
        metrics=tuple(sorted({*present.metrics, *layer.metrics})),
        params=tuple(sorted({*present.params, *layer.params})),
    )


def make_digest(manifest: Manifest, checksum: str) -> str:
    """The digest of what a manifest says and of the tarballs behind it, whatever its objects are."""
    said = (FORMAT, manifest.jeditaskid, manifest.mlflow_version, manifest.schema_revision, manifest.objective)
    return hashlib.sha256(repr((*said, manifest.lost, checksum)).encode()).hexdigest()


def in_order(jeditaskid: int, lost: tuple[Lost, ...]) -> tuple[Lost, ...]:
    """By the order of their tarballs, in whichever these were read."""
    names = {one.name: parse_tarball_name(one.name, jeditaskid) or TarballName("", 0, one.name) for one in lost}
    return tuple(sorted(lost, key=lambda one: names[one.name]))


def _join_experiments(present: tuple[Experiment, ...], new: tuple[Experiment, ...]) -> tuple[Experiment, ...]:
    known = {one.segment: one for one in present}
    for one in new:
        former = known.get(one.segment)
        known[one.segment] = replace(one, runs=one.runs + former.runs) if former else one
    return tuple(known[segment] for segment in sorted(known))
