"""A task's snapshot with a fault in it that no checksum shows: as a bad ingest would make it."""

import gzip
import shutil
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from mlflow_on_demand.snapshot import (
    MANIFEST,
    Manifest,
    download_database,
    open_snapshot_store,
    publish_manifest,
    publish_object,
    refer,
)


def spoil(store: Path, copy: Path, manifest: Manifest, *statements: str, keep_answers: bool = False) -> str:
    """Copy a store and change its database by SQL; the manifest says that all is as before. The copy's URI."""
    shutil.copytree(store, copy)
    spoil_in_place(copy, manifest, *statements, keep_answers=keep_answers)
    return copy.as_uri()


def spoil_in_place(store: Path, manifest: Manifest, *statements: str, keep_answers: bool = False) -> None:
    """The same in the store itself."""
    target = open_snapshot_store(store.as_uri(), manifest.jeditaskid, manifest.schema_revision)
    if not keep_answers:
        shutil.rmtree(store / str(manifest.jeditaskid) / manifest.schema_revision / "answers")
    with tempfile.TemporaryDirectory() as scratch:
        plain, packed = Path(scratch, "spoiled.db"), Path(scratch, "spoiled.db.gz")
        download_database(target, manifest, plain)
        with closing(sqlite3.connect(plain)) as database, database:
            for statement in statements:
                assert database.execute(statement).rowcount > 0, statement
        packed.write_bytes(gzip.compress(plain.read_bytes(), 1))
        ref = refer(packed, ".db.gz")
        publish_object(target, ref, packed)
    publish_manifest(target, replace(manifest, database=ref), target.stat(MANIFEST).etag)
