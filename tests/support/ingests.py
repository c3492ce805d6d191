"""Ingests of hand-made tarballs into a local store, and a look into the databases that they make."""

import dataclasses
import gzip
import sqlite3
from contextlib import closing
from pathlib import Path

from mlflow_on_demand.ingest import IngestRequest, IngestResult, ingest_task
from mlflow_on_demand.snapshot import Objective
from mlflow_on_demand.stores import open_store
from support.hpo_files import TASK

LOSS = Objective("loss", "minimize")


def ingest(tmp_path: Path, *artifacts: str, store: str = "store", **changes: object) -> IngestResult:
    request = IngestRequest(TASK, artifacts, (tmp_path / store).as_uri(), LOSS)
    return ingest_task(dataclasses.replace(request, **changes))  # type: ignore[arg-type]


def database_of(tmp_path: Path, result: IngestResult, store: str = "store") -> Path:
    manifest = result.manifest
    packed = open_store(f"{(tmp_path / store).as_uri()}/{TASK}/{manifest.schema_revision}").read(manifest.database.name)
    path = tmp_path / f"{manifest.digest}.db"
    path.write_bytes(gzip.decompress(packed))
    return path


def rows(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute(sql).fetchall()
