"""One task with all that MLflow's pages can show, as our snapshot and as a database and folders for stock MLflow.

What grid jobs leave (runs, a trace, registered models) goes the whole way: a FileStore by MLflow itself, a tarball,
ingest. Models, datasets, traces in the database and what hangs on them MLflow itself then adds to a copy of that
snapshot, which is published in its place.
"""

import gzip
import io
import json
import os
import shutil
import sqlite3
import subprocess
import tarfile
import zipfile
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from bench.stock import prepare_stock
from mlflow_on_demand.bundle import Spool
from mlflow_on_demand.ingest import IngestRequest, ingest_task
from mlflow_on_demand.mlflow_facts import schema_revision
from mlflow_on_demand.snapshot import (
    Manifest,
    Objective,
    ObjectRef,
    download_database,
    find_manifest,
    open_snapshot_store,
    publish_manifest,
    publish_object,
    refer,
)
from support.hpo_files import TASK, name

OURS = f"panda-snapshot:/{TASK}"
_ENVIRONMENT = {
    "MLFLOW_ALLOW_FILE_STORE": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PATH": os.environ["PATH"],
    "PYTHONPATH": str(Path(__file__).parents[1]),
}


@dataclass(frozen=True)
class RichTask:
    """`store` is what our server opens, `database` is stock's; the same but for URIs, which in the one begin with
    `panda-snapshot:/<task>` and in the other with that of `files`. `ids` names what MLflow gave an id to.
    """

    store: str
    database: Path
    files: Path
    ids: dict[str, str]

    def as_ours(self, content: bytes) -> bytes:
        """What stock answered, with the URIs of ours."""
        for theirs in (self.files.as_uri(), str(self.files)):
            content = content.replace(theirs.encode(), OURS.encode())
        return content


def make_rich_task(folder: Path) -> RichTask:
    """Make it in an empty folder; half a minute."""
    python = prepare_stock().with_name("python")
    (folder / "jobs").mkdir()
    _run_mlflow(python, folder / "jobs", "filestore", (folder / "mlruns").as_uri())
    tarballs = folder / "tarballs"
    tarballs.mkdir()
    with tarfile.open(tarballs / name(1), "w:gz") as archive:
        archive.add(folder / "mlruns", "mlruns")
    store_uri = (folder / "store").as_uri()
    objective = Objective("loss", "minimize")
    manifest = ingest_task(IngestRequest(TASK, (tarballs.as_uri(),), store_uri, objective)).manifest
    database, files = _take_out(folder, store_uri, manifest)
    printed = _run_mlflow(python, folder / "jobs", "enrich", f"sqlite:///{database}", str(files))
    _publish_again(folder, store_uri, database, files)
    ids = json.loads(printed.splitlines()[-1])
    with closing(sqlite3.connect(database)) as connection:
        [(job_trace,)] = connection.execute("SELECT request_id FROM trace_info WHERE trace_name = 'tune'").fetchall()
    [attachment] = (files / "traces" / job_trace / "artifacts" / "attachments").iterdir()
    more = {"request_id": ids["trace_id"], "job_trace_id": job_trace, "attachment": attachment.name}
    return RichTask(store_uri, database, files, ids | more)


def _run_mlflow(python: Path, cwd: Path, *arguments: str) -> str:
    command = [str(python), "-W", "ignore", "-m", "support.rich_runs", *arguments]
    done = subprocess.run(command, env=_ENVIRONMENT, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _take_out(folder: Path, store_uri: str, manifest: Manifest) -> tuple[Path, Path]:
    """The snapshot's database and artifacts, as files that MLflow can write to."""
    database, files = folder / "stock.db", folder / "artifacts"
    store = open_snapshot_store(store_uri, TASK, manifest.schema_revision)
    download_database(store, manifest, database)
    with zipfile.ZipFile(io.BytesIO(store.read(manifest.bundle.name))) as bundle:
        bundle.extractall(files)
    _rewrite(database, OURS, files.as_uri())
    return database, files


def _publish_again(folder: Path, store_uri: str, database: Path, files: Path) -> None:
    plain, packed, bundle = folder / "ours.db", folder / "ours.db.gz", folder / "ours.zip"
    shutil.copy(database, plain)
    _rewrite(plain, files.as_uri(), OURS)
    packed.write_bytes(gzip.compress(plain.read_bytes(), 1))
    spool = Spool(folder / "spool")
    paths = [path for path in files.rglob("*") if path.is_file()]
    members = []
    for path in paths:
        with path.open("rb") as content:
            members.append(spool.add(str(path.relative_to(files)), content))
    spool.write_bundle(bundle, members)
    spool.close()
    store = open_snapshot_store(store_uri, TASK, schema_revision())
    found = find_manifest(store)
    assert found is not None
    manifest, etag, _ = found
    refs: list[tuple[ObjectRef, Path]] = [(refer(packed, ".db.gz"), packed), (refer(bundle, ".zip"), bundle)]
    for ref, path in refs:
        publish_object(store, ref, path)
    publish_manifest(store, replace(manifest, digest="rich", database=refs[0][0], bundle=refs[1][0]), etag)


def _rewrite(database: Path, old: str, new: str) -> None:
    """Replace a URI's beginning in every text of a database."""
    with closing(sqlite3.connect(database)) as connection, connection:
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for column in connection.execute(f"SELECT name, type FROM pragma_table_info('{table}')").fetchall():
                if column[1].startswith(("VARCHAR", "TEXT")):
                    connection.execute(
                        f'UPDATE "{table}" SET "{column[0]}" = replace("{column[0]}", ?, ?)'
                        f' WHERE instr("{column[0]}", ?)',
                        (old, new, old),
                    )
