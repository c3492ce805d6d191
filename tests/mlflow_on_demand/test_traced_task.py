"""Ingest of traces and registered models of a whole task: repeated, merged, broken (real ones: test_vintages)."""

import dataclasses
import io
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from mlflow_on_demand.bundle import open_bundle
from mlflow_on_demand.ingest import IngestRequest, ingest_task
from mlflow_on_demand.snapshot import Lost, Manifest, download_database, open_snapshot_store
from mlflow_on_demand.unpack import Limits
from support.hpo_files import EXPERIMENT, NOON, TASK, Point, name, pack, run_id, write_task
from support.traced_files import registered, trace, version_of

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


@pytest.fixture
def ingested(tmp_path: Path) -> Iterator[Open]:
    """Puts tarballs beside those that are there already, ingests all, and opens the snapshot."""
    opened: list[sqlite3.Connection] = []

    def ingest(tarballs: Mapping[str, bytes]) -> Opened:
        folder, target = write_task(tmp_path / "t", tarballs), (tmp_path / "store").as_uri()
        manifest = ingest_task(IngestRequest(TASK, (folder,), target, limits=Limits(max_text_bytes=50_000))).manifest
        store = open_snapshot_store(target, TASK, manifest.schema_revision)
        path = tmp_path / f"{len(opened)}.db"
        download_database(store, manifest, path)
        opened.append(sqlite3.connect(path))
        bundle, artifacts = open_bundle(store, manifest), {}
        for member in bundle.sizes():
            content = io.BytesIO()
            bundle.copy(member, content)
            artifacts[member] = content.getvalue()
        return Opened(manifest, opened[-1], artifacts)

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


# --- Traces ---


def test_traces_are_in_the_experiment_of_their_segment(ingested: Open) -> None:
    opened = ingested({name(1, "calo"): job(1, trace("tr-1", 1, good=1)), name(1, "muon"): job(2, trace("tr-2"))})
    ids = {experiment.segment: int(experiment.id) for experiment in opened.manifest.experiments}
    assert opened.rows("SELECT request_id, experiment_id, trace_name FROM trace_info ORDER BY 1") == [
        ("tr-1", ids["calo"], "ask"),
        ("tr-2", ids["muon"], "ask"),
    ]
    assert opened.rows("SELECT trace_id, experiment_id, trace_timestamp_ms FROM assessments") == [
        ("tr-1", ids["calo"], NOON)
    ]
    assert opened.rows("SELECT key, value FROM trace_tags WHERE request_id = 'tr-1' ORDER BY 1") == [
        ("mlflow.artifactLocation", f"{OURS}/traces/tr-1/artifacts"),
        ("panda.tarball", name(1, "calo")),
    ]
    assert opened.artifacts["traces/tr-1/artifacts/traces.json"] == b'{"spans": [], "duration": 5}'


@pytest.mark.parametrize("better", [1, 2])
def test_of_a_retried_job_the_traces_are_those_of_the_better_run(ingested: Open, better: int) -> None:
    opened = ingested(
        {
            name(n): job(1, trace("tr-1", 1, duration=n), trace(f"tr-1{n}", 1), status=3 if n == better else 1)
            for n in (1, 2)
        }
    )
    assert opened.rows("SELECT request_id, execution_time_ms FROM trace_info ORDER BY 1") == [
        ("tr-1", better),
        (f"tr-1{better}", 5),
    ]
    spans = {path: json.loads(content)["duration"] for path, content in opened.artifacts.items()}
    assert spans == {
        "traces/tr-1/artifacts/traces.json": better,
        f"traces/tr-1{better}/artifacts/traces.json": 5,
    }


TRACES = [
    (trace("tr-1", state="IN_PROGRESS", good=2), trace("tr-1", good=1)),
    (trace("tr-1", duration=9), trace("tr-1", good=1)),
    (trace("tr-1", duration=1), trace("tr-1", duration=9)),
]


@pytest.mark.parametrize(("worse", "better"), TRACES)
@pytest.mark.parametrize("first", [True, False])
def test_of_a_trace_that_comes_twice_the_better_one_counts(
    ingested: Open, worse: dict[str, bytes], better: dict[str, bytes], *, first: bool
) -> None:
    contents = (better, worse) if first else (worse, better)
    opened = ingested({name(n): job(n, content) for n, content in enumerate(contents, start=1)})
    alone = ingested({name(n): job(n, *([better] if n == 1 else [])) for n in (1, 2)})
    for sql in ("SELECT * FROM trace_info", "SELECT * FROM assessments", "SELECT * FROM trace_request_metadata"):
        assert opened.rows(sql) == alone.rows(sql)
    assert opened.artifacts == alone.artifacts


def test_a_tarball_of_traces_alone_is_none_without_runs(ingested: Open) -> None:
    opened = ingested({name(1): pack(trace("tr-1")), name(2): pack(EXPERIMENT)})
    assert (opened.manifest.points, opened.manifest.lost) == (0, (Lost(name(2), "holds no run of MLflow"),))
    assert opened.rows("SELECT request_id FROM trace_info") == [("tr-1",)]


# --- The model registry ---


def test_a_registry_of_one_tarball_stays_as_it_is(ingested: Open) -> None:
    versions = {1: version_of(1), 3: version_of(1, "a b"), 4: "source: s3://bucket/x\n"}
    opened = ingested({name(1): job(1, registered("net", versions, aliases__best="3", tags__team="hpo"))})
    assert opened.rows("SELECT version, source, storage_location FROM model_versions ORDER BY 1") == [
        (1, f"{OURS}/{run_id(1)}/artifacts/net", f"{OURS}/{run_id(1)}/artifacts/net"),
        (3, f"{OURS}/{run_id(1)}/artifacts/a%20b", f"{OURS}/{run_id(1)}/artifacts/a%20b"),
        (4, "s3://bucket/x", f"{OURS}/elsewhere"),
    ]
    assert opened.rows("SELECT alias, version FROM registered_model_aliases") == [("best", 3)]
    assert opened.rows("SELECT version, key, value FROM model_version_tags ORDER BY 1, 2") == [
        (1, "panda.tarball", name(1)),
        (1, "panda.version", "1"),
        (3, "panda.aliases", "best"),
        (3, "panda.tarball", name(1)),
        (3, "panda.version", "3"),
        (4, "panda.tarball", name(1)),
        (4, "panda.version", "4"),
    ]


def brought(opened: Opened) -> list[tuple[object, ...]]:
    """Number of each version, the tarball that it came from and its number there."""
    return opened.rows(
        "SELECT version, t.value, n.value FROM model_version_tags AS t JOIN model_version_tags AS n"
        " USING (name, version) WHERE t.key = 'panda.tarball' AND n.key = 'panda.version' ORDER BY 1"
    )


def test_the_versions_of_all_jobs_are_numbered_as_one(ingested: Open) -> None:
    linked = '[{"name": "net", "version": "1"}]'
    tarballs = {
        name(n): job(
            n,
            registered(
                "net",
                {1: version_of(n), **({5: version_of(n)} if n == 2 else {})},
                aliases__best="1",
                tags__of=f"job {n}",
                tags___mlflow_experiment_ids=",1,",
            ),
            trace(f"tr-{n}", n) | {f"mlruns/1/traces/tr-{n}/tags/mlflow.linkedPrompts": linked.encode()},
            {
                f"mlruns/1/{run_id(n)}/tags/mlflow.linkedPrompts": linked.encode(),
                f"mlruns/1/models/m-{n}/meta.yaml": f"model_id: m-{n}\n".encode(),
                f"mlruns/1/models/m-{n}/tags/mlflow.modelVersions": linked.encode(),
            },
        )
        for n in (1, 2, 3)
    }
    opened = ingested(tarballs)
    assert brought(opened) == [(1, name(1), "1"), (2, name(2), "1"), (5, name(2), "5"), (6, name(3), "1")]
    assert opened.rows("SELECT version, run_id FROM model_versions ORDER BY 1") == [
        (1, run_id(1)),
        (2, run_id(2)),
        (5, run_id(2)),
        (6, run_id(3)),
    ]
    assert opened.rows("SELECT alias, version FROM registered_model_aliases") == [("best", 6)]
    assert opened.rows("SELECT version FROM model_version_tags WHERE key = 'panda.aliases' ORDER BY 1") == [
        (1,),
        (2,),
        (6,),
    ]
    assert opened.rows("SELECT key, value FROM registered_model_tags ORDER BY 1") == [
        ("_mlflow_experiment_ids", f",{TASK},"),
        ("of", "job 3"),
    ]
    named = [(n, json.dumps([{"name": "net", "version": str(number)}])) for n, number in ((1, 1), (2, 2), (3, 6))]
    runs = "SELECT run_uuid, value FROM tags WHERE key = 'mlflow.linkedPrompts' ORDER BY 1"
    assert opened.rows(runs) == [(run_id(n), value) for n, value in named]
    traces = "SELECT request_id, value FROM trace_tags WHERE key = 'mlflow.linkedPrompts' ORDER BY 1"
    assert opened.rows(traces) == [(f"tr-{n}", value) for n, value in named]
    models = "SELECT model_id, tag_value FROM logged_model_tags ORDER BY 1"
    assert opened.rows(models) == [(f"m-{n}", value) for n, value in named]


def test_what_several_tarballs_say_of_a_model(ingested: Open) -> None:
    said = [
        ("creation_timestamp: 7\nlast_updated_timestamp: 8\ndescription: a\n", "calo"),
        ("last_updated_timestamp: 9\ndescription: b\n", "muon"),
        ("creation_timestamp: 5\n", "muon"),
    ]
    tarballs = {
        name(n, segment): job(
            n, {"mlruns/models/net/meta.yaml": meta.encode(), "mlruns/models/net/tags/_mlflow_experiment_ids": b",1,"}
        )
        for n, (meta, segment) in enumerate(said, start=1)
    }
    opened = ingested(tarballs)
    assert opened.rows("SELECT * FROM registered_models") == [("net", 5, 9, "b", "default")]
    ids = sorted(experiment.id for experiment in opened.manifest.experiments)
    assert opened.rows("SELECT value FROM registered_model_tags") == [(f",{','.join(ids)},",)]


def test_a_registry_that_all_jobs_began_with_is_there_once(ingested: Open) -> None:
    base = {1: version_of(99, created=NOON - 5), 2: version_of(98, created=NOON - 4)}
    tarballs = {name(n): job(n, registered("net", {**base, 3: version_of(n)})) for n in (1, 2)}
    changed = registered("net", base, **{"version-1__tags__mine": "yes"})
    assert brought(ingested({**tarballs, name(3): job(3, changed)})) == [
        (1, name(2), "1"),
        (2, name(3), "2"),
        (3, name(1), "3"),
        (4, name(2), "3"),
        (5, name(3), "1"),
    ]


@pytest.mark.parametrize("better", [1, 3])
def test_of_a_retried_job_the_versions_are_those_of_the_better_run(ingested: Open, better: int) -> None:
    again = {
        n: job(1, registered("net", {1: version_of(1, created=n)}, aliases__best="1"), status=3 if n == better else 1)
        for n in (1, 3)
    }
    opened = ingested({name(1): again[1], name(2): job(2, registered("net", {1: version_of(2)})), name(3): again[3]})
    assert brought(opened) == [(1, name(better), "1"), (2, name(2), "1")]
    assert opened.rows("SELECT alias, version FROM registered_model_aliases") == [("best", 1)]
    assert opened.manifest.lost == ()


# --- Broken and hostile ---


def test_what_cannot_be_read_is_told_and_the_rest_is_there(ingested: Open) -> None:
    broken = {
        "mlruns/1/traces/tr-2/tags/colour": b"red",
        "mlruns/1/traces/tr-3/trace_info.yaml": b"trace_id: ../x\n",
        "mlruns/1/traces/tr-1/assessments/a-1.yaml": b"{",
        "mlruns/models/gone/tags/team": b"x",
        "mlruns/models/bad/meta.yaml": b"name: ../bad\n",
        "mlruns/models/net/version-7/meta.yaml": b"version: many\n",
        "mlruns/models/net/aliases/dangling": b"9",
    }
    opened = ingested({name(1): job(1, trace("tr-1"), registered("net", {1: version_of(1)}), broken)})
    assert opened.manifest.lost == (
        Lost(name(1), "holds a trace without a readable trace_info.yaml (tr-2 and 1 more)"),
        Lost(name(1), "holds a registered model without a readable meta.yaml (bad and 1 more)"),
        Lost(name(1), "holds a model version without a readable meta.yaml (net/version-7)"),
        Lost(name(1), "holds an alias of a version that is not there (net/dangling)"),
        Lost(name(1), "holds a file that cannot be read (mlruns/1/traces/tr-1/assessments/a-1.yaml)"),
    )
    assert opened.rows("SELECT (SELECT count(*) FROM trace_info), (SELECT count(*) FROM model_versions)") == [(1, 1)]
    assert (opened.manifest.runs, list(opened.artifacts)) == (1, ["traces/tr-1/artifacts/traces.json"])


@pytest.mark.parametrize(
    "files",
    [
        {f"mlruns/1/traces/tr-1/request_metadata/{n}": b"x" * 1000 for n in range(60)},
        {f"mlruns/models/net/tags/{n}": b"x" * 1000 for n in range(60)},
    ],
)
def test_texts_are_bounded(ingested: Open, files: dict[str, bytes]) -> None:
    opened = ingested({name(1): job(1, files), name(2): job(2)})
    assert opened.manifest.lost == (Lost(name(1), "holds more than 50000 bytes of parameters and tags"),)
    assert opened.manifest.runs == 1


ADDRESSES = (
    "file:///etc",
    "/etc",
    "s3://snapshots/other",
    "http://169.254.169.254/latest",
    "mlflow-artifacts:/x",
    "models:/net/1",
    "..",
)


@pytest.mark.parametrize("address", ADDRESSES)
def test_nothing_but_the_snapshot_can_be_opened(ingested: Open, address: str) -> None:
    hostile = {
        f"mlruns/1/traces/tr-1/tags/{key}": address.encode()
        for key in ("mlflow.artifactLocation", "mlflow.trace.archiveLocation")
    }
    version = f"source: '{address}'\nstorage_location: '{address}'\n"
    opened = ingested({name(1): job(1, trace("tr-1") | hostile, registered("net", {1: version}))})
    ours = f"{OURS}/traces/tr-1/artifacts"
    assert opened.rows("SELECT value FROM trace_tags WHERE key LIKE 'mlflow.%ocation'") == [(ours,), (ours,)]
    assert opened.rows("SELECT source, storage_location FROM model_versions") == [(address, f"{OURS}/elsewhere")]


# --- One after the other ---


def test_new_traces_and_models_are_a_layer_and_known_ones_are_not(ingested: Open) -> None:
    known = {name(n): job(n, trace(f"tr-{n}", n)) for n in range(1, 41)} | {
        name(41): job(41, registered("net", {1: version_of(41)}))
    }
    ingested(known)
    layered = ingested({name(42): job(42, trace("tr-42"), registered("other", {1: version_of(42)}))})
    assert len(layered.manifest.layers) == 1
    assert layered.rows("SELECT count(*) FROM trace_info") == [(41,)]
    assert layered.rows("SELECT name FROM model_versions ORDER BY 1") == [("net",), ("other",)]
    assert layered.artifacts["traces/tr-42/artifacts/traces.json"]
    twice = ingested({name(43): job(43, registered("other", {1: version_of(43)}))})
    assert (twice.manifest.layers, len(twice.rows("SELECT * FROM model_versions"))) == ((), 3)
    again = ingested({name(44): job(44, trace("tr-1", good=1))})
    assert (again.manifest.layers, again.rows("SELECT trace_id FROM assessments")) == ((), [("tr-1",)])
