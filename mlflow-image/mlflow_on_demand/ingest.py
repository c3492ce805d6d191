"""Turns the metrics tarballs of a task into a snapshot that an MLflow server can open.

Every tarball is streamed once: those that come later are added as a layer (`layers`). The content is a pure function
of the tarballs that are present: the same bytes give the same digest, and no clock is read. Nothing is visible before
all of it is stored, and two ingests at once do no harm: objects are named by their digest, and whoever finds the
manifest changed under his feet looks at the tarballs again.
"""

import contextlib
import gzip
import hashlib
import logging
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from mlflow_on_demand.awaited import Awaited
from mlflow_on_demand.errors import ManifestError, ObjectMissing, PreconditionFailed
from mlflow_on_demand.layers import (
    NOTHING,
    Index,
    NoLayer,
    find_new,
    join_index,
    join_manifest,
    make_digest,
)
from mlflow_on_demand.mlflow_facts import mlflow_version, schema_revision
from mlflow_on_demand.reading import READING, tell_reading
from mlflow_on_demand.records import from_json, to_json
from mlflow_on_demand.snapshot import (
    MANIFEST,
    Layer,
    Manifest,
    Objective,
    ObjectRef,
    find_manifest,
    lacks_objects,
    open_snapshot_store,
    publish_manifest,
    publish_object,
    refer,
)
from mlflow_on_demand.snapshot_build import Built, SnapshotBuild
from mlflow_on_demand.sources import Tarball, Tarballs, find_tarballs, read_each
from mlflow_on_demand.store import Store
from mlflow_on_demand.summary import make_summary
from mlflow_on_demand.tarballs import missing_serials
from mlflow_on_demand.unpack import Limits

_log = logging.getLogger(__name__)

_ATTEMPTS = 5
_TOLD_EVERY = 500


@dataclass(frozen=True)
class IngestRequest:
    """What to ingest: `artifacts` are URI prefixes, single files ending in .tgz, or BigPanDA's export of the task;
    `snapshot_store` is the URI prefix that the server gets as BIGPANDA_SNAPSHOT_STORE; what is `awaited` goes into the
    manifest; scratch files go below `work_dir` (default: TMPDIR).
    """

    jeditaskid: int
    artifacts: tuple[str, ...]
    snapshot_store: str
    objective: Objective | None = None
    limits: Limits = field(default_factory=Limits)
    work_dir: Path | None = None
    awaited: Awaited | None = None


@dataclass(frozen=True)
class IngestResult:
    """The snapshot that is published now; `changed` is False when it was so before, but for what is awaited."""

    changed: bool
    manifest: Manifest


def ingest_task(request: IngestRequest) -> IngestResult:
    """Make the snapshot of a task what its tarballs say.

    Returns at once with changed=False when the published one was made of the same tarballs and objective by the same
    version of MLflow. Tarballs that cannot be used are no error: they are in the manifest's `lost`. StoreError when a
    store does not answer (`transient` says whether to try again), PreconditionFailed when others kept writing.
    """
    target = open_snapshot_store(request.snapshot_store, request.jeditaskid, schema_revision())
    for _ in range(_ATTEMPTS):
        try:
            return _ingest_once(request, target)
        except PreconditionFailed:
            _log.info("another ingest published first, looking again", extra={"jeditaskid": request.jeditaskid})
    raise PreconditionFailed(f"other ingests of task {request.jeditaskid} kept publishing")


def _ingest_once(request: IngestRequest, target: Store) -> IngestResult:
    present, etag = _present(target)
    tarballs = find_tarballs(request.jeditaskid, request.artifacts)
    facts = {"jeditaskid": request.jeditaskid, "tarballs": len(tarballs)}
    same = present is not None and _is_of(present, tarballs, request.objective)
    if present is not None and same and not lacks_objects(target, present):
        _log.info("nothing new to ingest", extra=facts)
        return IngestResult(changed=False, manifest=_await_more(request, target, present, etag))
    _log.info("ingest begins", extra=facts)
    # The same once more: something that it names is gone, so all is made anew.
    manifest = _add_layer(request, target, present, tarballs) if present is not None and not same else None
    if manifest is None:
        told = iter(()) if present else tell_reading(target, len(tarballs))
        manifest = _publish_anew(request, target, tarballs, told)
    manifest = replace(manifest, awaited=request.awaited)
    publish_manifest(target, manifest, etag)
    if present is None:
        target.delete(READING)
    _log.info("snapshot published", extra={**facts, **_outcome(manifest)})
    return IngestResult(changed=True, manifest=manifest)


def _await_more(request: IngestRequest, target: Store, present: Manifest, etag: str | None) -> Manifest:
    """Publish the present manifest with what the request awaits, if that is something else."""
    if request.awaited in (None, present.awaited):
        return present
    manifest = replace(present, awaited=request.awaited)
    publish_manifest(target, manifest, etag)
    return manifest


def _is_of(present: Manifest, tarballs: Tarballs, objective: Objective | None) -> bool:
    return (present.sources, present.objective) == (tarballs.sources, objective)


def _add_layer(request: IngestRequest, target: Store, present: Manifest, tarballs: Tarballs) -> Manifest | None:
    """Publish the objects of a layer with what is new; None when the snapshot must be made anew."""
    sources = tarballs.sources
    new = find_new(present, sources, request.objective, mlflow_version())
    if new is None or present.index is None:
        return None
    try:
        known = _read_index(target, present.index)
        with _building(request, known) as build:
            built = _read(build, map(tarballs.find, new), iter(()), request.objective)
            index = join_index(request.objective, known, built.index)
            best = index.best[0].run if index.best else None
            layer = Layer(
                database=_publish(target, built.database, ".db.gz", present),
                bundle=_publish(target, built.bundle, ".zip", present) if built.has_artifacts else None,
                tarballs=len(new),
            )
            joined = join_manifest(present, built.manifest, sources, best)
            return _finish(target, replace(joined, layers=(*present.layers, layer)), index, built.database.parent)
    except (NoLayer, ManifestError) as error:
        _log.info("the snapshot is made anew", extra={"jeditaskid": request.jeditaskid, "reason": str(error)})
        return None


def _read_index(target: Store, ref: ObjectRef) -> Index:
    try:
        content = target.read(ref.name)
        if hashlib.sha256(content).hexdigest() != ref.sha256:
            raise ManifestError("its index is not the one that it names")
        return from_json(Index, gzip.decompress(content))
    except (ObjectMissing, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise ManifestError(f"its index cannot be read: {error}") from None


def _publish_anew(request: IngestRequest, target: Store, tarballs: Tarballs, told: Iterator[object]) -> Manifest:
    """Publish the objects of a whole snapshot; `told` is advanced with each tarball, and tells how many were read."""
    # First of all: what many serials take in memory, the rest can take again.
    missing = missing_serials(tarball.name.serial for tarball in tarballs)
    with _building(request, NOTHING) as build:
        built = _read(build, tarballs, told, request.objective)
        manifest = replace(
            built.manifest,
            database=_publish(target, built.database, ".db.gz"),
            bundle=_publish(target, built.bundle, ".zip"),
            sources=tarballs.sources,
            missing_serials=missing,
        )
        return _finish(target, manifest, built.index, built.database.parent)


@contextlib.contextmanager
def _building(request: IngestRequest, known: Index) -> Iterator[SnapshotBuild]:
    with tempfile.TemporaryDirectory(prefix="ingest-", dir=request.work_dir) as scratch:
        build = SnapshotBuild(request.jeditaskid, Path(scratch), request.limits, known)
        try:
            yield build
        finally:
            build.close()


def _read(
    build: SnapshotBuild, tarballs: Iterable[Tarball], told: Iterator[object], objective: Objective | None
) -> Built:
    with contextlib.closing(read_each(tarballs, told)) as each:
        for count, (tarball, stream) in enumerate(each, start=1):
            build.add_tarball(tarball.name, stream)
            if count % _TOLD_EVERY == 0:
                _log.info("tarballs read", extra={"read": count})
    return build.finish(objective)


def _finish(target: Store, manifest: Manifest, index: Index, scratch: Path) -> Manifest:
    """Publish index and summary; the manifest names them then, and its digest stands for the content."""
    (scratch / "index.json.gz").write_bytes(gzip.compress(to_json(index), 1, mtime=0))
    (scratch / "summary.json").write_bytes(to_json(make_summary(manifest, index.best)))
    return replace(
        manifest,
        digest=make_digest(manifest, index.checksum),
        summary=_publish(target, scratch / "summary.json", ".json"),
        index=_publish(target, scratch / "index.json.gz", ".json.gz"),
    )


def _publish(target: Store, path: Path, suffix: str, present: Manifest | None = None) -> ObjectRef:
    ref = refer(path, suffix)
    publish_object(target, ref, path, present)
    return ref


def _present(target: Store) -> tuple[Manifest | None, str | None]:
    try:
        found = find_manifest(target)
    except ManifestError:
        return None, target.stat(MANIFEST).etag  # unreadable: make it anew
    return (found.manifest, found.etag) if found else (None, None)


def _outcome(manifest: Manifest) -> dict[str, object]:
    return {
        "digest": manifest.digest,
        "runs": manifest.runs,
        "metric_points": manifest.metric_points,
        "lost": len(manifest.lost),
    }
