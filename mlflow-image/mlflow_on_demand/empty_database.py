"""An empty database with the schema of the installed MLflow, made by MLflow's own migrations, in a process of its own.

MLflow's migrations write constraints and indexes in the order of sets of objects, which differs from one process to the
next; a snapshot is to be the same bytes for the same tarballs, so the schema is rebuilt in the order of its names. The
process of its own spares whoever ingests the memory of an imported MLflow; `prepare_environment` keeps the database for
all of them.
"""

import os
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from functools import cache
from pathlib import Path

from mlflow_on_demand.errors import OnDemandError
from mlflow_on_demand.mlflow_facts import mlflow_version, schema_revision

_SECONDS = 300
_BETWEEN = ", \n\t"
_CONSTRAINTS = ("CONSTRAINT ", "PRIMARY KEY", "FOREIGN KEY", "UNIQUE ", "CHECK ")


def prepared_path() -> Path:
    """Where this environment keeps the database of its MLflow, if one was made when it was installed."""
    return Path(sys.prefix, "share", "mlflow-empty", f"{mlflow_version()}-{schema_revision()}.db")


@cache
def empty_database() -> bytes:
    """The bytes of the database, the same in every process; made here (some seconds) where none is prepared."""
    try:
        return prepared_path().read_bytes()
    except FileNotFoundError:
        return make_empty_database()


def make_empty_database() -> bytes:
    """The same bytes, made now."""
    with tempfile.TemporaryDirectory(prefix="schema-") as directory:
        path = Path(directory, "empty.db")
        environment = {**os.environ, "PYTHONHASHSEED": "0", "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
        command = [sys.executable, "-m", "mlflow_on_demand.empty_database", str(path)]
        made = subprocess.run(
            command, env=environment, capture_output=True, text=True, errors="replace", check=False, timeout=_SECONDS
        )
        if made.returncode != 0:
            raise OnDemandError(f"MLflow could not make an empty database: {made.stderr.strip()[-500:]}")
        return path.read_bytes()


def prepare() -> None:
    """Keep the database for this environment; it is there whole or not at all."""
    path = prepared_path()
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}")
        unfinished.write_bytes(make_empty_database())
        unfinished.replace(path)


def _make(path: str) -> None:
    import sqlalchemy
    from mlflow.store.db.utils import _initialize_tables

    migrated = f"{path}.migrated"
    engine = sqlalchemy.create_engine(f"sqlite:///{migrated}")
    _initialize_tables(engine)
    engine.dispose()
    _rebuild(migrated, path)


def _rebuild(source: str, target: str) -> None:
    """The same tables, indexes and rows, made in the order of their names."""
    with closing(sqlite3.connect(target)) as database:
        database.execute("ATTACH ? AS migrated", (source,))
        made = database.execute(
            "SELECT type, name, sql FROM migrated.sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
            " ORDER BY type != 'table', type, name"
        ).fetchall()
        for kind, name, sql in made:
            if kind == "table":
                database.execute(sort_constraints(sql))
                _copy_rows(database, name)
            else:
                database.execute(sql)
        database.commit()


def _copy_rows(database: sqlite3.Connection, table: str) -> None:
    # Most are empty, and one of them has generated columns, which cannot be written.
    if database.execute(f'SELECT 1 FROM migrated."{table}"').fetchone():  # noqa: S608 (MLflow's own names)
        database.execute(f'INSERT INTO main."{table}" SELECT * FROM migrated."{table}"')  # noqa: S608 (as above)


def sort_constraints(create_table: str) -> str:
    """A CREATE TABLE as SQLAlchemy writes it, its constraints in the order of their text behind the columns."""
    head, _, rest = create_table.partition("(")
    pieces = rest.rpartition(")")[0].strip().split(_BETWEEN)
    columns = [piece for piece in pieces if not piece.startswith(_CONSTRAINTS)]
    constraints = sorted(piece for piece in pieces if piece.startswith(_CONSTRAINTS))
    return f"{head}(\n\t{_BETWEEN.join(columns + constraints)}\n)"


if __name__ == "__main__":
    _make(sys.argv[1])
