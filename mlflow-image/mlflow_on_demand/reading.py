"""How far the first ingest of a task has come, for the page that waits for it: an object where the manifest will be.

Written seldom, and only while there is no snapshot to look at; gone when there is one. Light to import: no MLflow.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

from mlflow_on_demand.errors import ManifestError, ObjectMissing
from mlflow_on_demand.records import from_json, to_json
from mlflow_on_demand.store import Store

READING = "reading.json"
_TIMES = 20
"""So often at most is it written in one ingest."""


@dataclass(frozen=True)
class Reading:
    """`read` of `tarballs` were read."""

    read: int
    tarballs: int


def tell_reading(store: Store, tarballs: int) -> Iterator[int]:
    """To be advanced before each of so many tarballs: counts those before it, and the store is told now and then."""
    every = -(-tarballs // _TIMES) or 1
    for read in range(tarballs):
        if read % every == 0:
            store.write(READING, BytesIO(to_json(Reading(read, tarballs))))
        yield read


def find_reading(store: Store) -> Reading | None:
    """What was last told, or None."""
    try:
        return from_json(Reading, store.read(READING))
    except (ObjectMissing, ManifestError):
        return None
