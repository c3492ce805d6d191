import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_on_demand.filestore import (
    Part,
    Place,
    RunMeta,
    place_of,
    read_experiment_times,
    read_run_meta,
    read_text,
)

RUN = "a" * 32


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("mlruns/0/meta.yaml", Place(Part.EXPERIMENT_META, "0")),
        ("mlruns_17/0/meta.yaml", Place(Part.EXPERIMENT_META, "0")),
        ("mlruns_17/3/x/0/meta.yaml", None),
        ("mlruns/0/tags/mlflow.note", Place(Part.EXPERIMENT_TAG, "0", key="mlflow.note")),
        (f"mlruns/0/{RUN}/meta.yaml", Place(Part.META, "0", RUN)),
        (f"0/{RUN}/meta.yaml", Place(Part.META, "0", RUN)),
        (f"mlruns/0/{RUN}/params/model/depth", Place(Part.PARAM, "0", RUN, "model/depth")),
        (f"mlruns/0/{RUN}/tags/mlflow.user", Place(Part.TAG, "0", RUN, "mlflow.user")),
        (f"mlruns/0/{RUN}/metrics/val/loss", Place(Part.METRIC, "0", RUN, "val/loss")),
        (f"mlruns/0/{RUN}/artifacts/a/b.png", Place(Part.ARTIFACT, "0", RUN, "a/b.png")),
        (f"mlruns/.trash/5/{RUN}/meta.yaml", Place(Part.META, "5", RUN, is_deleted=True)),
        (f"mlruns/0/{RUN}/metrics", None),
        (f"mlruns/0/{RUN}/inputs/x/meta.yaml", Place(Part.INPUT, "0", RUN, "x")),
        (f"mlruns/0/{RUN}/outputs/m-1/meta.yaml", Place(Part.OUTPUT, "0", RUN, "m-1")),
        (f"mlruns/0/{RUN}/inputs/x/other.yaml", None),
        ("mlruns/0/datasets/d/meta.yaml", Place(Part.DATASET, "0", key="d")),
        ("mlruns/0/datasets/d/x/meta.yaml", None),
        ("mlruns/0/models/m-1/meta.yaml", Place(Part.MODEL_META, "0", "m-1")),
        ("mlruns/0/models/m-1/params/a/b", Place(Part.MODEL_PARAM, "0", "m-1", "a/b")),
        ("mlruns/0/models/m-1/tags/t", Place(Part.MODEL_TAG, "0", "m-1", "t")),
        ("mlruns/0/models/m-1/metrics/loss", Place(Part.MODEL_METRIC, "0", "m-1", "loss")),
        ("mlruns/0/models/m-1/artifacts/MLmodel", Place(Part.MODEL_ARTIFACT, "0", "m-1", "MLmodel")),
        ("mlruns/.trash/5/models/m-1/meta.yaml", Place(Part.MODEL_META, "5", "m-1", is_deleted=True)),
        ("mlruns/0/models/m-1", None),
        ("mlruns/0/traces/tr-1/trace_info.yaml", Place(Part.TRACE_INFO, "0", "tr-1", "")),
        ("mlruns/0/traces/tr-1/meta.yaml", None),
        ("mlruns/0/traces/tr-1/tags/a/b", Place(Part.TRACE_TAG, "0", "tr-1", "a/b")),
        ("mlruns/0/traces/tr-1/tags", None),
        ("mlruns/0/traces/tr-1/request_metadata/x", Place(Part.TRACE_METADATA, "0", "tr-1", "x")),
        ("mlruns/0/traces/tr-1/assessments/a-1.yaml", Place(Part.TRACE_ASSESSMENT, "0", "tr-1", "a-1")),
        ("mlruns/0/traces/tr-1/assessments/a-1.txt", None),
        ("mlruns/0/traces/tr-1/artifacts/traces.json", Place(Part.TRACE_ARTIFACT, "0", "tr-1", "traces.json")),
        ("mlruns/.trash/5/traces/tr-1/tags/x", Place(Part.TRACE_TAG, "5", "tr-1", "x", is_deleted=True)),
        ("mlruns/models/net/meta.yaml", Place(Part.REGISTERED_META, "", "net")),
        ("models/net/meta.yaml", Place(Part.REGISTERED_META, "", "net")),
        ("mlruns/models/net/tags/a/b", Place(Part.REGISTERED_TAG, "", "net", "a/b")),
        ("mlruns/models/net/aliases/best", Place(Part.REGISTERED_ALIAS, "", "net", "best")),
        ("mlruns/models/net/version-2/meta.yaml", Place(Part.VERSION_META, "", "net/version-2")),
        ("mlruns/models/net/version-2/tags/t", Place(Part.VERSION_TAG, "", "net/version-2", "t")),
        ("mlruns/models/net/version-2", None),
        ("mlruns/models/net", None),
        ("mlruns/.trash/models/net/meta.yaml", None),
        (f"elsewhere/0/{RUN}/meta.yaml", None),
        ("mlruns/.trash/.trash/5/x/meta.yaml", None),
        ("stdout.txt", None),
        ("mlruns", None),
    ],
)
def test_every_file_has_its_place(path: str, place: Place | None) -> None:
    assert place_of(tuple(path.split("/"))) == place


def test_a_run_as_mlflow_writes_it() -> None:
    meta = (
        b"artifact_uri: file:///srv/x\nend_time: 20\nentry_point_name: ''\nexperiment_id: '0'\n"
        b"lifecycle_stage: deleted\nrun_id: abc\nrun_name: mild-fox\nrun_uuid: abc\nsource_name: train.py\n"
        b"source_type: 4\nsource_version: '1'\nstart_time: 10\nstatus: 3\ndeleted_time: 30\ntags: []\nuser_id: me\n"
    )
    assert read_run_meta(meta) == RunMeta(
        "abc", "mild-fox", "LOCAL", "train.py", "", "me", "FINISHED", 10, 20, 30, "1", "deleted"
    )


def test_senseless_fields_fall_back() -> None:
    meta = b"run_id: abc\nstatus: 99\nstart_time: soon\nlifecycle_stage: [x]\nsource_type: MOON\nend_time: true\n"
    assert read_run_meta(meta) == RunMeta("abc", None, "LOCAL", "", "", None, "RUNNING", None, None, None, "", "active")


@pytest.mark.parametrize("meta", [b"", b"[1]", b"run_id: ''", b"run_id: a/b", b"{", b"\xff", b"a: &a [*a]", b"!x y"])
def test_a_run_without_an_id_is_none(meta: bytes) -> None:
    assert read_run_meta(meta) is None


@given(st.binary(max_size=200))
def test_any_bytes_are_a_run_or_none(meta: bytes) -> None:
    read_run_meta(meta)
    read_experiment_times(meta)


def test_texts_are_read_as_mlflow_reads_them() -> None:
    assert read_text("grün\r\nlang\rkurz".encode()) == "grün\nlang\nkurz"
    assert read_text(b"\xff") == "�"


def test_experiment_times() -> None:
    assert read_experiment_times(b"creation_time: 5\nlast_update_time: x\n") == (5, None)
