"""A published snapshot: one manifest that points by digest at a database, a bundle of artifacts and a summary; and at
layers, each with the runs of a few tarballs that came later, so that one more costs no second look at all the others.

Lies under `<snapshot store>/<jeditaskid>/<schema revision>/`. Objects are named by their sha256 and never change;
`manifest.json` is written last and at once, so whoever reads a manifest finds all it names. Light to import: no MLflow.
"""

import contextlib
import gzip
import hashlib
import sqlite3
import zlib
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from mlflow_on_demand.awaited import Awaited
from mlflow_on_demand.checksums import DigestedStream
from mlflow_on_demand.errors import ChecksumMismatch, ManifestError, ObjectMissing
from mlflow_on_demand.records import from_json, to_json
from mlflow_on_demand.store import CHUNK, Store, StoredObject
from mlflow_on_demand.stores import open_store

FORMAT = 1
MANIFEST = "manifest.json"
# Of the artifact URIs in a snapshot's database.
SCHEME = "panda-snapshot"
_REPLACED = ("experiments", "experiment_tags")


@dataclass(frozen=True)
class ObjectRef:
    """One object of the snapshot: its key, its size in bytes and its sha256."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Source:
    """One tarball that was read, as its store described it."""

    name: str
    uri: str
    size: int
    etag: str

    def __reduce__(self) -> tuple[type["Source"], tuple[str, str, int, str]]:
        """For pickle, in half the time that a dataclass takes: there may be thousands."""
        return Source, (self.name, self.uri, self.size, self.etag)


@dataclass(frozen=True, slots=True)
class Lost:
    """A tarball, or a part of one, that could not be used, and why in plain words: "<name> <reason>" is a sentence."""

    name: str
    reason: str


@dataclass(frozen=True)
class Experiment:
    """One MLflow experiment of the snapshot: `segment` is "" for a task without segments; `runs` counts active ones.

    `hyperparameters` are the parameters that differ between its runs, `axes` those of them that a chart can set
    against the objective; both are empty in snapshots that were made before there were such fields.
    """

    id: str
    name: str
    segment: str
    runs: int
    hyperparameters: tuple[str, ...] = ()
    axes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Objective:
    """What the task optimises: a metric, and "minimize" or "maximize"."""

    metric: str
    direction: str

    def __post_init__(self) -> None:
        if self.direction not in ("minimize", "maximize") or not self.metric:
            raise ValueError("an objective is a metric's name and 'minimize' or 'maximize'")


@dataclass(frozen=True)
class BestRun:
    """The run whose last value of the objective's metric is best."""

    run_id: str
    run_name: str
    experiment_id: str
    value: float


@dataclass(frozen=True)
class Layer:
    """Runs that came after the snapshot's database was written: a small database of them alone, whose rows belong into
    that one, their artifacts (None: they have none), and how many tarballs this covers.
    """

    database: ObjectRef
    bundle: ObjectRef | None
    tarballs: int


@dataclass(frozen=True)
class Manifest:
    """What a snapshot holds.

    `digest` changes exactly when the content does, however many `layers` it lies in; `index` is what the next ingest
    needs to know to add one. `missing_serials` are the points below the highest serial that left
    no tarball. `points` counts tarballs that gave a run (evaluated points of the
    search), `metric_points` the rows of MLflow's table `metrics`, `damaged_lines` the metric lines that were skipped.
    What is `awaited` (None: nobody knows) says nothing of the content: snapshots that differ in it alone are the same.
    """

    format: int
    jeditaskid: int
    mlflow_version: str
    schema_revision: str
    digest: str
    database: ObjectRef
    bundle: ObjectRef
    summary: ObjectRef
    sources: Collection[Source]
    lost: tuple[Lost, ...]
    missing_serials: tuple[int, ...]
    experiments: tuple[Experiment, ...]
    runs: int
    points: int
    metric_points: int
    damaged_lines: int
    objective: Objective | None
    best: BestRun | None
    metrics: tuple[str, ...]
    params: tuple[str, ...]
    layers: tuple[Layer, ...] = ()
    index: ObjectRef | None = None
    awaited: Awaited | None = field(default=None, compare=False)

    @cached_property
    def content(self) -> str:
        """A digest of what was ingested for which objective: the same in the snapshots of every MLflow, and, for it is
        compared across images, in those of every version of ours.
        """
        objective = None if self.objective is None else (self.objective.metric, self.objective.direction)
        sources = [(one.name, one.uri, one.size, one.etag) for one in self.sources]
        return hashlib.sha256(to_json((self.jeditaskid, objective, sources))).hexdigest()


class Published(NamedTuple):
    """A manifest as its store has it: with its etag, for `publish_manifest`, and when it was written, in seconds since
    1970.
    """

    manifest: Manifest
    etag: str
    at: int

    @property
    def finished_at(self) -> int | None:
        """From when on the task counts as finished (see `awaited`); None where nobody knows."""
        manifest = self.manifest
        if manifest.awaited is None:
            return None
        return manifest.awaited.finished_at(len(manifest.sources), len(manifest.lost), self.at)


@dataclass(frozen=True)
class _Header:
    format: int


def open_snapshot_store(snapshot_store: str, jeditaskid: int, schema_revision: str) -> Store:
    """The store that holds the snapshots of one task for one schema of MLflow."""
    return open_store(f"{snapshot_store.rstrip('/')}/{jeditaskid}/{schema_revision}")


def parse_manifest(content: bytes) -> Manifest:
    """The manifest in these bytes; ManifestError if it is none, or of a format that this version does not know."""
    try:
        header = from_json(_Header, content)
        if header.format == FORMAT:
            return from_json(Manifest, content)
    except (ManifestError, ValueError) as error:
        raise ManifestError(f"the manifest cannot be read: {error}") from None
    raise ManifestError(f"the manifest has format {header.format}, but only format {FORMAT} is known")


def find_manifest(store: Store) -> Published | None:
    """What is published, or None when nothing is."""
    try:
        found = store.stat(MANIFEST)
        return Published(parse_manifest(store.read(MANIFEST)), found.etag, found.mtime)
    except ObjectMissing:
        return None


def refer(path: Path, suffix: str) -> ObjectRef:
    """What a manifest says of a local file that is to be published."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return ObjectRef(f"{digest.hexdigest()}{suffix}", path.stat().st_size, digest.hexdigest())


def object_names(manifest: Manifest) -> frozenset[str]:
    """The keys of all objects that a manifest names."""
    layers = (ref for layer in manifest.layers for ref in (layer.database, layer.bundle))
    refs = (manifest.database, manifest.bundle, manifest.summary, manifest.index, *layers)
    return frozenset(ref.name for ref in refs if ref is not None)


def lacks_objects(store: Store, manifest: Manifest) -> bool:
    """Whether anything that a manifest names is not there: somebody removed it, for ingest publishes objects first."""
    try:
        for name in sorted(object_names(manifest)):
            store.stat(name)
    except ObjectMissing:
        return True
    return False


def publish_object(store: Store, ref: ObjectRef, path: Path, present: Manifest | None = None) -> None:
    """Upload an object unless the `present` manifest names it; its name is its digest, so two may do so at once.

    One that is there but named by nobody is written again: as old as it is, it might just be collected (`retention`).
    """
    if present is None or ref.name not in object_names(present):
        with path.open("rb") as file:
            store.write(ref.name, file)


def publish_manifest(store: Store, manifest: Manifest, replaces: str | None) -> StoredObject:
    """Make the snapshot visible, if the manifest with etag `replaces` (None: no manifest) is still the present one."""
    return store.write_if(MANIFEST, to_json(manifest), replaces)


def download_database(store: Store, manifest: Manifest, target: Path) -> None:
    """Unpack the snapshot's database to `target`, which appears whole or not at all; ChecksumMismatch if it is not
    what the manifest names.
    """
    unfinished, part = (target.with_name(f"{target.name}.{suffix}") for suffix in ("unfinished", "layer"))
    try:
        _unpack(store, manifest.database, unfinished)
        for layer in manifest.layers:
            _unpack(store, layer.database, part)
            _add_rows(unfinished, part)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
        part.unlink(missing_ok=True)


def _unpack(store: Store, database: ObjectRef, target: Path) -> None:
    with store.open(database.name) as source, target.open("wb") as file:
        checked = DigestedStream(source)
        try:
            with gzip.GzipFile(fileobj=checked) as plain:  # type: ignore[call-overload]
                while chunk := plain.read(CHUNK):
                    file.write(chunk)
        except (OSError, EOFError, zlib.error) as error:
            if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile):
                raise
            raise ChecksumMismatch("the snapshot's database is damaged") from None
    if checked.digest.hexdigest() != database.sha256:
        raise ChecksumMismatch("the snapshot's database is not the one that its manifest names")


def _add_rows(target: Path, layer: Path) -> None:
    """Put all rows of one database into another of the same schema. Experiments and their tags replace those that are
    there, because a layer knows them all; of other rows with the same key the first stays.
    """
    with contextlib.closing(sqlite3.connect(target, isolation_level=None)) as database:
        database.execute("PRAGMA synchronous = OFF")
        database.execute("ATTACH ? AS layer", (str(layer),))
        database.execute("BEGIN")
        tables = database.execute("SELECT name FROM layer.sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in tables:
            # Most are empty, and one of them has generated columns, which cannot be written.
            if database.execute(f'SELECT 1 FROM layer."{table}"').fetchone():  # noqa: S608 (MLflow's own names)
                verb = "REPLACE" if table in _REPLACED else "IGNORE"
                database.execute(f'INSERT OR {verb} INTO main."{table}" SELECT * FROM layer."{table}"')  # noqa: S608
        database.execute("COMMIT")
