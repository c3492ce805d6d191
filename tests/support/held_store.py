"""A snapshot store that is slow with one object: the database never comes, or comes when a test says so."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlflow_on_demand.snapshot import Manifest
from support.hpo_files import TASK


def snapshot_folder(store: Path, manifest: Manifest) -> Path:
    """Where a store in a directory keeps the objects of the snapshot."""
    return store / str(TASK) / manifest.schema_revision


@dataclass(frozen=True)
class HeldStore:
    """A copy of a store whose database is a pipe: whoever opens it waits until somebody writes into it."""

    store: Path
    pipe: Path
    database: bytes

    def release(self) -> None:
        """Hand the database to the reader that waits for it."""
        self.pipe.write_bytes(self.database)


@contextmanager
def holding_database(store: Path, copy: Path, manifest: Manifest) -> Iterator[HeldStore]:
    """Copy a store with its manifest and answers, and hold its database back."""
    shutil.copytree(store, copy)
    pipe = snapshot_folder(copy, manifest) / manifest.database.name
    database = pipe.read_bytes()
    pipe.unlink()
    os.mkfifo(pipe)
    yield HeldStore(copy, pipe, database)
