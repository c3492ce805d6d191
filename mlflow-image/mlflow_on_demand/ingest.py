"""Turns the metrics tarballs of a task into a snapshot that an MLflow server can open.

Every tarball is streamed once. The result is a pure function of the tarballs that are present: the same bytes give the
same digest, and no clock is read. Nothing is visible before all of it is stored, and two ingests at once do no harm:
objects are named by their digest, and whoever finds the manifest changed under his feet looks at the tarballs again.
"""

import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mlflow_on_demand.errors import ManifestError, PreconditionFailed
from mlflow_on_demand.mlflow_facts import schema_revision
from mlflow_on_demand.reading import READING, tell_reading
from mlflow_on_demand.snapshot import (
    MANIFEST,
    Manifest,
    Objective,
    Source,
    find_manifest,
    open_snapshot_store,
    publish_manifest,
    publish_object,
)
from mlflow_on_demand.snapshot_build import SnapshotBuild
from mlflow_on_demand.store import Store, StoredObject
from mlflow_on_demand.stores import open_store, split_uri
from mlflow_on_demand.tarballs import TarballName, parse_tarball_name
from mlflow_on_demand.unpack import Limits

_log = logging.getLogger(__name__)

_ATTEMPTS = 5


@dataclass(frozen=True)
class IngestRequest:
    """What to ingest: `artifacts` are URI prefixes, or single files ending in .tgz; `snapshot_store` is the URI prefix
    that the server gets as BIGPANDA_SNAPSHOT_STORE; scratch files go below `work_dir` (default: TMPDIR).
    """

    jeditaskid: int
    artifacts: tuple[str, ...]
    snapshot_store: str
    objective: Objective | None = None
    limits: Limits = field(default_factory=Limits)
    work_dir: Path | None = None


@dataclass(frozen=True)
class IngestResult:
    """The snapshot that is published now; `changed` is False when it was so before and nothing was written."""

    changed: bool
    manifest: Manifest


@dataclass(frozen=True, order=True)
class Tarball:
    """One tarball to read, and where it lies; the order is that of ingest."""

    name: TarballName
    uri: str
    key: str = field(compare=False)
    store: Store = field(compare=False)
    found: StoredObject = field(compare=False)

    @property
    def source(self) -> Source:
        """What the manifest says of it."""
        return Source(self.name.name, self.uri, self.found.size, self.found.etag)


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


def find_tarballs(jeditaskid: int, artifacts: tuple[str, ...]) -> tuple[Tarball, ...]:
    """The task's metrics tarballs under these URI prefixes (or single files ending in .tgz), in the order of ingest."""
    found = {tarball.uri: tarball for uri in artifacts for tarball in _tarballs_at(uri, jeditaskid)}
    return tuple(sorted(found.values()))


def _tarballs_at(uri: str, jeditaskid: int) -> Iterator[Tarball]:
    prefix, key = split_uri(uri)
    single = uri.endswith(".tgz")
    store = open_store(prefix if single else uri)
    for entry in [store.stat(key)] if single else store.list():
        name = parse_tarball_name(entry.key.rpartition("/")[2], jeditaskid)
        if name is not None:
            yield Tarball(name, f"{store.uri}/{entry.key}", entry.key, store, entry)


def _ingest_once(request: IngestRequest, target: Store) -> IngestResult:
    present, etag = _present(target)
    tarballs = find_tarballs(request.jeditaskid, request.artifacts)
    sources = tuple(tarball.source for tarball in tarballs)
    facts = {"jeditaskid": request.jeditaskid, "tarballs": len(tarballs)}
    if present is not None and (present.sources, present.objective) == (sources, request.objective):
        _log.info("nothing new to ingest", extra=facts)
        return IngestResult(changed=False, manifest=present)
    _log.info("ingest begins", extra=facts)
    with tempfile.TemporaryDirectory(prefix="ingest-", dir=request.work_dir) as scratch:
        build = SnapshotBuild(request.jeditaskid, Path(scratch), request.limits)
        try:
            for tarball in tarballs if present else tell_reading(target, tarballs):
                with tarball.store.open(tarball.key) as stream:
                    build.add_tarball(tarball.name, stream)
            built = build.finish(sources, request.objective)
        finally:
            build.close()
        for ref, path in built.files:
            publish_object(target, ref, path)
        publish_manifest(target, built.manifest, etag)
    if present is None:
        target.delete(READING)
    _log.info("snapshot published", extra={**facts, **_outcome(built.manifest)})
    return IngestResult(changed=True, manifest=built.manifest)


def _present(target: Store) -> tuple[Manifest | None, str | None]:
    try:
        return find_manifest(target) or (None, None)
    except ManifestError:
        return None, target.stat(MANIFEST).etag  # unreadable: make it anew


def _outcome(manifest: Manifest) -> dict[str, object]:
    return {
        "digest": manifest.digest,
        "runs": manifest.runs,
        "metric_points": manifest.metric_points,
        "lost": len(manifest.lost),
    }
