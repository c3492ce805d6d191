"""What a task's page shows now, as the snapshot store has it: the golden answers that a candidate is held against.

Ingest recorded what each MLflow release answers to the requests of the page's first view. A candidate of another
release must answer the same; one of the same release (another build of this project's image) is held against that
release's own recording. Snapshots are compared whatever their schema, if they are of the same tarballs for the same
objective, or if the candidate's has some more: a task that still runs gets them at any time.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field

from mlflow_on_demand.answers import Answers, find_answers
from mlflow_on_demand.bundle import open_bundle
from mlflow_on_demand.errors import ManifestError
from mlflow_on_demand.snapshot import MANIFEST, Manifest, open_snapshot_store, parse_manifest
from mlflow_on_demand.store import Store
from mlflow_on_demand.stores import open_store

MAX_ARTIFACT_BYTES = 8 * 2**20
_ARTIFACTS = "/artifacts/"


@dataclass(frozen=True)
class Artifact:
    """One file of a run."""

    run_id: str
    path: str
    content: bytes = field(repr=False)


@dataclass(frozen=True)
class Golden:
    """A snapshot's manifest; the answers that were recorded over it, by which release (empty if by none); its smallest
    artifact that is not empty, if it has one that is small enough to look at; and whether the candidate has no more.
    """

    manifest: Manifest
    version: str
    answers: Answers = field(repr=False)
    artifact: Artifact | None
    is_whole: bool = True


def find_snapshots(snapshot_store: str, jeditaskid: int) -> list[tuple[Manifest, Store]]:
    """A task's snapshots that hold runs, of every schema, the one that was published last first.

    OnDemandError when the store cannot be read; what is no manifest, or one of a later format, is passed over.
    """
    listed = open_store(f"{snapshot_store.rstrip('/')}/{jeditaskid}").list()
    found = [one for one in listed if one.key.count("/") == 1 and one.key.endswith(f"/{MANIFEST}")]
    snapshots = []
    for one in sorted(found, key=lambda one: one.mtime, reverse=True):
        store = open_snapshot_store(snapshot_store, jeditaskid, one.key.partition("/")[0])
        try:
            manifest = parse_manifest(store.read(MANIFEST))
        except ManifestError:
            continue
        if manifest.runs > 0:
            snapshots.append((manifest, store))
    return snapshots


def find_golden(snapshots: list[tuple[Manifest, Store]], content: str, candidate: str) -> Golden | None:
    """What to hold a candidate of release `candidate` against that shows this `content`.

    The present release is the one that recorded something and is not the candidate's; of several, that of the snapshot
    that was published last. None when its snapshot has tarballs that the candidate's lacks. Only where no other release
    recorded anything is it the candidate's own: another build of this project's image.
    """
    same = [one for one in snapshots if one[0].content == content]
    if not same:
        return None
    comparable = [*same, *(one for one in snapshots if _is_part(one[0], same[0][0]))]
    versions = [(*one, version) for one in snapshots for version in _versions(*one)]
    others = [one for one in versions if one[2] != candidate]
    for manifest, store, version in others or versions:
        answers = find_answers(store, manifest, version) if (manifest, store) in comparable else None
        if answers is not None:
            return Golden(manifest, version, answers, _find_artifact(manifest, store), manifest.content == content)
    if others:
        return None
    manifest, store = comparable[-1]
    is_whole = manifest.content == content
    return Golden(manifest, manifest.mlflow_version, {}, _find_artifact(manifest, store), is_whole)


def _is_part(manifest: Manifest, shown: Manifest) -> bool:
    """Whether one snapshot is of some of the other's tarballs, for the same objective."""
    is_less = set(manifest.sources) < set(shown.sources)
    return is_less and manifest.objective == shown.objective


def _versions(manifest: Manifest, store: Store) -> Iterator[str]:
    for one in store.list("answers/"):
        _, version, digest = one.key.split("/", 2)
        if digest == manifest.digest:
            yield version


def _find_artifact(manifest: Manifest, store: Store) -> Artifact | None:
    bundle = open_bundle(store, manifest)
    small = [
        (size, name)
        for name, size in bundle.sizes().items()
        if 0 < size <= MAX_ARTIFACT_BYTES and _ARTIFACTS in name and not name.startswith("models/")
    ]
    if not small:
        return None
    _, name = min(small)
    run_id, _, path = name.partition(_ARTIFACTS)
    content = io.BytesIO()
    bundle.copy(name, content)
    return Artifact(run_id, path, content.getvalue())
