"""A task of tarballs ingested and opened, for tests that look at the rows and artifacts of its snapshot."""

import dataclasses
import io
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mlflow_on_demand.bundle import open_bundle
from mlflow_on_demand.ingest import IngestRequest, ingest_task
from mlflow_on_demand.snapshot import Manifest, download_database, open_snapshot_store
from mlflow_on_demand.unpack import Limits
from support.hpo_files import EXPERIMENT, TASK, Point, pack, run_id, write_task

OURS = f"panda-snapshot:/{TASK}"


@dataclasses.dataclass
class Opened:
    """A snapshot that was made of some tarballs."""

    manifest: Manifest
    database: sqlite3.Connection
    artifacts: dict[str, bytes]

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        return self.database.execute(sql).fetchall()


Open = Callable[[Mapping[str, bytes]], Opened]


@contextmanager
def opening(folder: Path) -> Iterator[Open]:
    """Puts tarballs beside those that are there already, ingests all, and opens the snapshot."""
    opened: list[sqlite3.Connection] = []

    def ingest(tarballs: Mapping[str, bytes]) -> Opened:
        artifacts, target = write_task(folder / "t", tarballs), (folder / "store").as_uri()
        manifest = ingest_task(IngestRequest(TASK, (artifacts,), target, limits=Limits(max_text_bytes=50_000))).manifest
        store = open_snapshot_store(target, TASK, manifest.schema_revision)
        path = folder / f"{len(opened)}.db"
        download_database(store, manifest, path)
        opened.append(sqlite3.connect(path))
        bundle, held = open_bundle(store, manifest), {}
        for member in bundle.sizes():
            content = io.BytesIO()
            bundle.copy(member, content)
            held[member] = content.getvalue()
        return Opened(manifest, opened[-1], held)

    yield ingest
    for database in opened:
        database.close()


def job(run: int, *files: Mapping[str, bytes], status: int = 3) -> bytes:
    """The tarball of a job with one run, and these files beside it."""
    return pack(
        {
            path: content
            for one in (EXPERIMENT, Point(run_id(run), status=status).files(), *files)
            for path, content in one.items()
        }
    )
