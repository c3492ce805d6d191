"""What is published of a task: a manifest for each schema of MLflow that it was ingested for."""

from dataclasses import dataclass
from datetime import UTC, datetime

from mlflow_on_demand.errors import ManifestError, ObjectMissing
from mlflow_on_demand.snapshot import MANIFEST, Manifest, parse_manifest
from mlflow_on_demand.stores import open_store


@dataclass(frozen=True)
class Published:
    """One manifest; None where it cannot be read, for that reason."""

    schema: str
    at: datetime
    manifest: Manifest | None
    reason: str = ""

    @property
    def runs(self) -> int:
        """0 where nobody can tell."""
        return 0 if self.manifest is None else self.manifest.runs


def find_published(snapshot_store: str, jeditaskid: int) -> tuple[Published, ...]:
    """All of a task, those with runs first, of these the newest. Raises StoreError."""
    store = open_store(f"{snapshot_store.rstrip('/')}/{jeditaskid}")
    found = []
    for entry in store.list():
        schema, _, rest = entry.key.partition("/")
        if rest != MANIFEST:
            continue
        at = datetime.fromtimestamp(entry.mtime, UTC)
        try:
            found.append(Published(schema, at, parse_manifest(store.read(entry.key))))
        except ManifestError as error:
            found.append(Published(schema, at, None, str(error)))
        except ObjectMissing:  # gone since it was listed
            continue
    return tuple(sorted(found, key=lambda one: (one.runs > 0, one.at), reverse=True))


def list_keys(snapshot_store: str, jeditaskid: int) -> tuple[str, ...]:
    """All that is stored for a task. Raises StoreError."""
    return tuple(entry.key for entry in open_store(f"{snapshot_store.rstrip('/')}/{jeditaskid}").list())
