"""What lies in a task's stores that its published snapshot does not know: told from listings, no tarball is read."""

from collections.abc import Callable

from mlflow_on_demand.allowed import export_task
from mlflow_on_demand.errors import ManifestError
from mlflow_on_demand.mlflow_facts import schema_revision
from mlflow_on_demand.snapshot import Manifest, Source, find_manifest, open_snapshot_store
from mlflow_on_demand.sources import find_tarballs
from mlflow_on_demand.store import Store


def find_news(
    jeditaskid: int,
    artifacts: tuple[str, ...],
    snapshot_store: str,
    is_finished: Callable[[Manifest | None, int], bool],
) -> tuple[Source, ...]:
    """The tarballs that are new, or other than when they were read or lost (by size or etag), in the order of ingest.

    `is_finished` is asked first, with what is published for this image's MLflow and when it was, in seconds since 1970
    (None, 0: nothing that can be read): where it says yes, no listing is asked for. BigPanDA's export has none, and is
    not read every few minutes to make one: what is new in it is told by an event. StoreError where a store does not do
    its part.
    """
    manifest, published = _read_published(open_snapshot_store(snapshot_store, jeditaskid, schema_revision()))
    if is_finished(manifest, published):
        return ()
    known = frozenset(manifest.sources) if manifest else frozenset()
    listed = tuple(uri for uri in artifacts if export_task(uri) is None)
    return tuple(source for source in find_tarballs(jeditaskid, listed).sources if source not in known)


def _read_published(store: Store) -> tuple[Manifest | None, int]:
    try:
        found = find_manifest(store)
    except ManifestError:
        found = None  # ingest makes it anew
    return (found.manifest, found.at) if found else (None, 0)
