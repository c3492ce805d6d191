"""Writes traces into a snapshot's database, in the experiment of their segment.

A trace that a run made goes where its run goes: when two tarballs bring the same run, the one that counts brings its
traces. Of another trace that two tarballs bring, as for runs, the better one counts: first one that is complete, then
the one with more assessments, then the one that ended later, then that of the later tarball.
"""

from dataclasses import astuple

from mlflow_on_demand.database import SnapshotDatabase
from mlflow_on_demand.layers import NoLayer
from mlflow_on_demand.registry import Numbers, renumber
from mlflow_on_demand.snapshot import SCHEME
from mlflow_on_demand.taken import TraceTaken
from mlflow_on_demand.tarballs import TarballName
from mlflow_on_demand.traces import TraceInfo, sort_texts

SOURCE_RUN = "mlflow.sourceRun"
TRACES = "traces"
"""The folder of their artifacts in a snapshot's bundle."""
# What MLflow's server opens: a tarball must not make it read elsewhere.
_ADDRESSES = ("mlflow.artifactLocation", "mlflow.trace.archiveLocation")
_TARBALL = "panda.tarball"
_TABLES = ("assessments", "trace_tags", "trace_request_metadata", "trace_info")

_ADD_ASSESSMENT = """
INSERT OR IGNORE INTO assessments (assessment_id, name, assessment_type, value, error, created_timestamp,
    last_updated_timestamp, source_type, source_id, run_id, span_id, rationale, overrides, valid, assessment_metadata,
    aggregate_value, is_numeric_value, trace_id, experiment_id, trace_timestamp_ms)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_RANK = """
SELECT status != 'IN_PROGRESS', (SELECT count(*) FROM assessments WHERE trace_id = request_id),
       timestamp_ms + coalesce(execution_time_ms, 0)
FROM trace_info WHERE request_id = ?
"""
# Another tarball may have brought a better one since.
_MADE = """
SELECT trace FROM made JOIN trace_tags AS brought ON request_id = trace AND brought.key = ? AND value = tarball
WHERE run = ? AND tarball = ?
"""


class Traces:
    """The traces of one build; `known` are the ids in a snapshot whose layer it becomes."""

    def __init__(self, database: SnapshotDatabase, jeditaskid: int, known: tuple[str, ...]) -> None:
        self._database = database
        self._jeditaskid = jeditaskid
        self._known = frozenset(known)
        # MLflow's own table has no index by which a run's traces are found.
        database.write("CREATE TEMP TABLE made (run TEXT, tarball TEXT, trace TEXT)", [()])
        database.write("CREATE INDEX temp.made_by_run ON made (run)", [()])

    def add(
        self, tarball: TarballName, experiment_id: int, trace: TraceTaken, info: TraceInfo, numbers: Numbers
    ) -> bool:
        """Add a trace, unless a better one of its id is there; whether it was added. NoLayer if it is a known one."""
        if info.trace_id in self._known:
            raise NoLayer(f"trace {info.trace_id} is known")
        rank = (info.status != "IN_PROGRESS", len(trace.assessments), info.timestamp_ms + (info.execution_time_ms or 0))
        former = self._database.query(_RANK, info.trace_id)
        if former and former[0] > rank:
            return False
        if former:
            self._remove(info.trace_id)
        self._insert(tarball, experiment_id, trace, info, numbers)
        if SOURCE_RUN in trace.metadata:
            made = (trace.metadata[SOURCE_RUN], tarball.name, info.trace_id)
            self._database.write("INSERT INTO made VALUES (?, ?, ?)", [made])
        return True

    def remove_of_run(self, run_uuid: str, tarball: str) -> None:
        """Forget those that a run made which a tarball brought."""
        for (trace_id,) in self._database.query(_MADE, _TARBALL, run_uuid, tarball):
            self._remove(str(trace_id))

    def find_ids(self) -> tuple[str, ...]:
        """Those that were added, sorted."""
        found = self._database.query("SELECT request_id FROM trace_info ORDER BY request_id")
        return tuple(str(trace_id) for (trace_id,) in found)

    def _remove(self, trace_id: str) -> None:
        for table in _TABLES:
            column = "trace_id" if table == "assessments" else "request_id"
            self._database.write(f"DELETE FROM {table} WHERE {column} = ?", [(trace_id,)])  # noqa: S608 (our own names)

    def _insert(
        self, tarball: TarballName, experiment_id: int, trace: TraceTaken, info: TraceInfo, numbers: Numbers
    ) -> None:
        texts = sort_texts(trace.tags, trace.metadata)
        ours = f"{SCHEME}:/{self._jeditaskid}/{TRACES}/{info.trace_id}/artifacts"
        addresses = {key: ours for key in _ADDRESSES if key in texts.tags}
        tags = {**renumber(texts.tags, numbers), **addresses, _TARBALL: tarball.name}
        columns = ("experiment_id", *texts.columns)
        values = (*astuple(info), experiment_id, *texts.columns.values())
        self._database.write(
            "INSERT INTO trace_info (request_id, timestamp_ms, execution_time_ms, status, client_request_id,"  # noqa: S608 (our own names)
            f" request_preview, response_preview, {', '.join(columns)}) VALUES ({', '.join('?' * len(values))})",
            [values],
        )
        for table, pairs in (("trace_tags", tags), ("trace_request_metadata", texts.metadata)):
            self._database.write(
                f"INSERT INTO {table} (key, value, request_id) VALUES (?, ?, ?)",  # noqa: S608 (our own names)
                [(key, value, info.trace_id) for key, value in sorted(pairs.items())],
            )
        self._database.write(
            _ADD_ASSESSMENT,
            [
                (*astuple(one), info.trace_id, experiment_id, info.timestamp_ms)
                for one in sorted(trace.assessments, key=lambda one: one.assessment_id)
            ],
        )
