"""Writes runs into an SQLite database of exactly the schema of the installed MLflow.

MLflow makes the empty schema itself; the rows go in through plain sqlite3, which is ten times faster than its ORM. One
tarball is staged at a time and then merged or dropped as a whole, so a tarball that breaks off leaves no trace.
The same calls in the same order give the same bytes.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from itertools import islice
from pathlib import Path

from mlflow_on_demand.empty_database import empty_database
from mlflow_on_demand.filestore import MetricPoint, RunMeta

_BATCH = 5000
_TABLES_OF_A_RUN = ("metrics", "latest_metrics", "params", "tags", "runs")


@dataclass(frozen=True)
class ExperimentRow:
    """A row of MLflow's table `experiments`; times in milliseconds since 1970."""

    experiment_id: int
    name: str
    artifact_location: str
    lifecycle_stage: str
    creation_time: int | None
    last_update_time: int | None


@dataclass(frozen=True)
class RunRow:
    """A run with its parameters and tags; its metric points were staged before under `stage`."""

    meta: RunMeta
    experiment_id: int
    artifact_uri: str
    params: dict[str, str]
    tags: dict[str, str]
    stage: int


class SnapshotDatabase:
    """A database in the making, in one scratch file."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(empty_database())
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute(
            "CREATE TEMP TABLE staged"
            " (stage INTEGER, key TEXT, timestamp INTEGER, value REAL, step INTEGER, is_nan INTEGER)"
        )
        self._db.execute("BEGIN")

    def stage_metric(self, stage: int, key: str, points: Iterable[MetricPoint]) -> int:
        """Keep the points of one metric until the run is added; how many there were."""
        rows = ((stage, key, point.timestamp, point.value, point.step, point.is_nan) for point in points)
        count = 0
        while batch := list(islice(rows, _BATCH)):
            self._db.executemany("INSERT INTO staged VALUES (?, ?, ?, ?, ?, ?)", batch)
            count += len(batch)
        return count

    def drop_staged(self) -> None:
        """Forget all staged points: their runs were added, or their tarball is lost."""
        self._db.execute("DELETE FROM staged")

    def add_run(self, row: RunRow) -> None:
        """Add a run, in place of a former one with the same id. Points that repeat another exactly are kept once, as
        MLflow does when they are logged.
        """
        run_uuid = row.meta.run_uuid
        for table in _TABLES_OF_A_RUN:
            self._db.execute(f"DELETE FROM {table} WHERE run_uuid = ?", (run_uuid,))  # noqa: S608 (our own names)
        self._insert_run(row)
        for table, values in (("params", row.params), ("tags", row.tags)):
            self._db.executemany(
                f"INSERT INTO {table} (key, value, run_uuid) VALUES (?, ?, ?)",  # noqa: S608 (our own names)
                [(key, value, run_uuid) for key, value in sorted(values.items())],
            )
        self._db.execute(
            "INSERT OR IGNORE INTO metrics (key, value, timestamp, run_uuid, step, is_nan)"
            " SELECT key, value, timestamp, ?, step, is_nan FROM staged WHERE stage = ? ORDER BY key, rowid",
            (run_uuid, row.stage),
        )
        # The last value is the greatest (step, timestamp, value), the first of equals: the rule of MLflow's own stores.
        self._db.execute(
            "INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid)"
            " SELECT key, value, timestamp, step, is_nan, ? FROM (SELECT *, row_number() OVER ("
            "   PARTITION BY key ORDER BY step DESC, timestamp DESC, value DESC, rowid) AS place"
            "   FROM staged WHERE stage = ?) WHERE place = 1 ORDER BY key",
            (run_uuid, row.stage),
        )

    def add_experiment(self, row: ExperimentRow, tags: dict[str, str]) -> None:
        """Add an experiment with its tags."""
        self._db.execute(
            "INSERT INTO experiments"
            " (experiment_id, name, artifact_location, lifecycle_stage, creation_time, last_update_time)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            astuple(row),
        )
        self._db.executemany(
            "INSERT INTO experiment_tags (key, value, experiment_id) VALUES (?, ?, ?)",
            [(key, value, row.experiment_id) for key, value in sorted(tags.items())],
        )

    def query(self, sql: str, *values: object) -> list[tuple[object, ...]]:
        """The rows of a SELECT on what has been added so far."""
        return self._db.execute(sql, values).fetchall()

    def finish(self, target: Path) -> None:
        """Write the compact database to `target` and end: nothing can be added any more."""
        self._db.execute("COMMIT")
        self._db.execute("VACUUM INTO ?", (str(target),))
        self._db.close()

    def close(self) -> None:
        """Give up the database in the making, if it is not finished; its file stays."""
        self._db.close()

    def _insert_run(self, row: RunRow) -> None:
        meta = row.meta
        self._db.execute(
            "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time,"
            " end_time, deleted_time, source_version, lifecycle_stage, artifact_uri, experiment_id)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*astuple(meta), row.artifact_uri, row.experiment_id),
        )
