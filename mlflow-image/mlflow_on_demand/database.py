"""Writes runs into an SQLite database of exactly the schema of the installed MLflow.

MLflow makes the empty schema itself; the rows go in through plain sqlite3, which is ten times faster than its ORM.
The same calls in the same order give the same bytes.
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from functools import cache
from itertools import chain, islice
from pathlib import Path

from mlflow_on_demand.empty_database import empty_database
from mlflow_on_demand.filestore import RunMeta
from mlflow_on_demand.lineage import Dataset, Link, ModelMeta, ModelMetric
from mlflow_on_demand.points import Last, Points

# One statement for so many rows takes half the time of one for each.
_ROWS_AT_ONCE = 64
_ADD_LATEST_METRICS = """
    INSERT INTO latest_metrics (step, timestamp, value, is_nan, key, run_uuid) VALUES (?, ?, ?, ?, ?, ?)
"""
_TABLES_OF_A_RUN = ("latest_metrics", "params", "tags", "runs")
_TABLES_OF_A_MODEL = ("logged_model_metrics", "logged_model_params", "logged_model_tags", "logged_models")
# MLflow's source and destination types.
_ENDS = {
    "DATASET": ("DATASET", "RUN"),
    "MODEL": ("RUN_INPUT", "MODEL_INPUT"),
    "OUTPUT": ("RUN_OUTPUT", "MODEL_OUTPUT"),
}


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
    """A run with its parameters, tags and metrics, whose points are read once."""

    meta: RunMeta
    experiment_id: int
    artifact_uri: str
    params: dict[str, str]
    tags: dict[str, str]
    metrics: Mapping[str, Iterable[Points]]


@dataclass(frozen=True)
class ModelRow:
    """A logged model with its parameters, tags and metrics."""

    meta: ModelMeta
    experiment_id: int
    artifact_location: str
    params: dict[str, str]
    tags: dict[str, str]
    metrics: dict[str, list[ModelMetric]]


class SnapshotDatabase:
    """A database in the making, in one scratch file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.write_bytes(empty_database())
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute("PRAGMA cache_size = -1024")  # more does not make it faster
        # Rows that come by runs are in no order of an index: it is made in one go, when all are there.
        self._indexes = self.query(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'metrics' AND sql IS NOT NULL"
            " ORDER BY rowid"
        )
        for name, _ in self._indexes:
            self._db.execute(f'DROP INDEX "{name}"')
        # Which rows of `metrics` are a run's, while no index tells it; hardly ever asked for.
        self._db.execute("PRAGMA temp.cache_size = -256")
        self._db.execute("CREATE TEMP TABLE metrics_of (run_uuid TEXT PRIMARY KEY, first INTEGER, last INTEGER)")
        self._db.execute("BEGIN")

    def add_run(self, row: RunRow) -> None:
        """Add a run, in place of a former one with the same id. Points that repeat another exactly are kept once, as
        MLflow does when they are logged.
        """
        run_uuid = row.meta.run_uuid
        if self.query("SELECT 1 FROM runs WHERE run_uuid = ?", run_uuid):
            self._remove_run(run_uuid)
        self._insert_run(row)
        for table, values in (("params", row.params), ("tags", row.tags)):
            self._db.executemany(
                f"INSERT INTO {table} (key, value, run_uuid) VALUES (?, ?, ?)",  # noqa: S608 (our own names)
                [(key, value, run_uuid) for key, value in sorted(values.items())],
            )
        self._add_metrics(run_uuid, row.metrics)

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

    def add_dataset(self, experiment_id: int, dataset: Dataset) -> str:
        """Add a dataset, unless its experiment has it by name and digest; its id, which depends on these alone."""
        dataset_uuid = _make_id("dataset", str(experiment_id), dataset.name, dataset.digest)
        self._db.execute(
            "INSERT OR IGNORE INTO datasets (dataset_uuid, experiment_id, name, digest, dataset_source_type,"
            " dataset_source, dataset_schema, dataset_profile) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (dataset_uuid, experiment_id, *astuple(dataset)),
        )
        return dataset_uuid

    def add_link(self, run_uuid: str, link: Link) -> None:
        """Tie a run to what it used or made; a dataset by its id here."""
        source_type, destination_type = _ENDS[link.kind]
        ends = (link.target, run_uuid) if link.kind == "DATASET" else (run_uuid, link.target)
        input_uuid = _make_id(source_type, *ends)
        self._db.execute(
            "INSERT OR IGNORE INTO inputs (input_uuid, source_type, source_id, destination_type, destination_id, step)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (input_uuid, source_type, ends[0], destination_type, ends[1], link.step),
        )
        self._db.executemany(
            "INSERT OR IGNORE INTO input_tags (input_uuid, name, value) VALUES (?, ?, ?)",
            [(input_uuid, name, value) for name, value in sorted(link.tags.items())],
        )

    def add_model(self, row: ModelRow) -> None:
        """Add a logged model, in place of a former one with the same id."""
        meta, experiment_id = row.meta, row.experiment_id
        self._remove_models("model_id", meta.model_id)
        self._db.execute(
            "INSERT INTO logged_models (model_id, name, creation_timestamp_ms, last_updated_timestamp_ms, status,"
            " lifecycle_stage, model_type, source_run_id, status_message, experiment_id, artifact_location)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*astuple(meta), experiment_id, row.artifact_location),
        )
        for table, name, values in (("params", "param", row.params), ("tags", "tag", row.tags)):
            self._db.executemany(
                f"INSERT INTO logged_model_{table} (model_id, experiment_id, {name}_key, {name}_value)"  # noqa: S608
                " VALUES (?, ?, ?, ?)",
                [(meta.model_id, experiment_id, key, value) for key, value in sorted(values.items())],
            )
        self._db.executemany(
            "INSERT OR IGNORE INTO logged_model_metrics (model_id, experiment_id, metric_name, metric_timestamp_ms,"
            " metric_value, metric_step, run_id, dataset_name, dataset_digest) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (meta.model_id, experiment_id, key, *astuple(point))
                for key, points in sorted(row.metrics.items())
                for point in points
            ],
        )

    def query(self, sql: str, *values: object) -> list[tuple[object, ...]]:
        """The rows of a SELECT on what has been added so far."""
        return self._db.execute(sql, values).fetchall()

    def write(self, sql: str, rows: Iterable[tuple[object, ...]]) -> None:
        """Run a statement that changes rows, once with each of these values."""
        self._db.executemany(sql, rows)

    def finish(self) -> Path:
        """Complete the database; its file, to which nothing can be added any more."""
        for _, sql in self._indexes:
            self._db.execute(str(sql))
        self._db.execute("COMMIT")
        self._db.close()
        return self._path

    def close(self) -> None:
        """Give up the database in the making, if it is not finished; its file stays."""
        self._db.close()

    def _remove_run(self, run_uuid: str) -> None:
        """Forget a run and all that it brought but its datasets, which other runs may share."""
        for first, last in self.query("SELECT first, last FROM metrics_of WHERE run_uuid = ?", run_uuid):
            self._db.execute("DELETE FROM metrics WHERE rowid BETWEEN ? AND ?", (first, last))
        for table in _TABLES_OF_A_RUN:
            self._db.execute(f"DELETE FROM {table} WHERE run_uuid = ?", (run_uuid,))  # noqa: S608 (our own names)
        ours = "(source_type = 'DATASET' AND destination_id = ?1) OR (source_type != 'DATASET' AND source_id = ?1)"
        self._db.execute(
            f"DELETE FROM input_tags WHERE input_uuid IN (SELECT input_uuid FROM inputs WHERE {ours})",  # noqa: S608
            (run_uuid,),
        )
        self._db.execute(f"DELETE FROM inputs WHERE {ours}", (run_uuid,))  # noqa: S608 (as above)
        self._remove_models("source_run_id", run_uuid)

    def _remove_models(self, column: str, value: str) -> None:
        chosen = f"SELECT model_id FROM logged_models WHERE {column} = ?"  # noqa: S608 (our own names)
        for table in _TABLES_OF_A_MODEL:
            self._db.execute(f"DELETE FROM {table} WHERE model_id IN ({chosen})", (value,))  # noqa: S608 (as above)

    def _add_metrics(self, run_uuid: str, metrics: Mapping[str, Iterable[Points]]) -> None:
        before = self._last_metric()
        latest: dict[str, Last] = {}
        for key, series in sorted(metrics.items()):
            for points in filter(len, series):
                rows = points.rows()
                while some := list(islice(rows, _ROWS_AT_ONCE)):
                    self._db.execute(_add_metrics_sql(len(some)), (key, run_uuid, *chain.from_iterable(some)))
                last = points.last()
                if key not in latest or last[:3] > latest[key][:3]:
                    latest[key] = last
        self._db.executemany(_ADD_LATEST_METRICS, [(*last, key, run_uuid) for key, last in latest.items()])
        self._db.execute("REPLACE INTO metrics_of VALUES (?, ?, ?)", (run_uuid, before + 1, self._last_metric()))

    def _last_metric(self) -> int:
        (row,) = self._db.execute("SELECT coalesce(max(rowid), 0) FROM metrics")
        return int(row[0])

    def _insert_run(self, row: RunRow) -> None:
        meta = row.meta
        self._db.execute(
            "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time,"
            " end_time, deleted_time, source_version, lifecycle_stage, artifact_uri, experiment_id)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*vars(meta).values(), row.artifact_uri, row.experiment_id),
        )


@cache
def _add_metrics_sql(count: int) -> str:
    """Of one metric of one run: key, run_uuid, and then for each row value, timestamp, step and is_nan."""
    rows = ", ".join(["(?1, ?2, ?, ?, ?, ?)"] * count)
    return f"INSERT OR IGNORE INTO metrics (key, run_uuid, value, timestamp, step, is_nan) VALUES {rows}"  # noqa: S608


def _make_id(*parts: str) -> str:
    """MLflow makes random ids here; ours depend on what they name."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:32]
