"""Ingest of a task's traces, and of what is broken in them and in registries (real ones: test_vintages)."""

import json

import pytest

from mlflow_on_demand.snapshot import Lost
from support.hpo_files import EXPERIMENT, NOON, name, pack
from support.opened import OURS, Open, job
from support.traced_files import registered, trace, version_of


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
