import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_on_demand.lineage import (
    Dataset,
    Link,
    ModelMeta,
    ModelMetric,
    read_dataset,
    read_input,
    read_model_meta,
    read_model_metric,
    read_output,
)


def test_a_dataset_as_mlflow_writes_it() -> None:
    meta = b"digest: d1\nname: digits\nprofile: '{\"n\": 5}'\nschema: null\nsource: '{}'\nsource_type: local\n"
    assert read_dataset(meta) == Dataset("digits", "d1", "local", "{}", None, '{"n": 5}')
    assert read_dataset(b"{") is None


@pytest.mark.parametrize(
    ("meta", "link"),
    [
        (
            b"source_id: abc\nsource_type: DATASET\ntags:\n  fold: '3'\n  bad: [1]\n",
            Link("DATASET", "abc", tags={"fold": "3"}),
        ),
        (b"source_id: abc\n", Link("DATASET", "abc")),
        (b"source_id: m-1\nsource_type: MODEL\ntags: {}\n", Link("MODEL", "m-1")),
        (b"source_id: abc\nsource_type: MOON\n", None),
        (b"source_id: abc\nsource_type: [x]\n", None),
        (b"source_type: DATASET\n", None),
        (b"\xff", None),
    ],
)
def test_an_input(meta: bytes, link: Link | None) -> None:
    assert read_input(meta) == link


def test_an_output() -> None:
    assert read_output("m-1", b"source_type: RUN_OUTPUT\nstep: 2\n") == Link("OUTPUT", "m-1", 2)
    assert read_output("m-1", b"source_type: RUN_OUTPUT\nstep: x\n") == Link("OUTPUT", "m-1", 0)
    assert read_output("m-1", b"") is None


def test_a_model_as_mlflow_writes_it() -> None:
    meta = (
        b"artifact_location: x\ncreation_timestamp: 5\nlast_updated_timestamp: 6\nlifecycle_stage: deleted\n"
        b"model_id: m-1\nmodel_type: keras\nname: net\nsource_run_id: abc\nstatus: 3\nstatus_message: null\n"
    )
    assert read_model_meta(meta) == ModelMeta("m-1", "net", 5, 6, 3, "deleted", "keras", "abc", None)
    senseless = b"model_id: m-1\nstatus: 99\ncreation_timestamp: soon\nlifecycle_stage: gone\n"
    assert read_model_meta(senseless) == ModelMeta("m-1", "", 0, 0, 1, "active", None, None, None)
    assert read_model_meta(b"model_id: ../x\n") is None


def test_lines_of_a_models_metric() -> None:
    text = "1 0.5 2 abc\n2 nope 2 abc\n3 0.25 4 abc digits d1\n4 1 1\n99999999999999999999 1 1 abc\n5 0.1 0 ab"
    assert list(read_model_metric(text)) == [
        ModelMetric(1, 0.5, 2, "abc", None, None),
        None,
        ModelMetric(3, 0.25, 4, "abc", "digits", "d1"),
        *[None] * 3,
    ]


@given(st.binary(max_size=200))
def test_any_bytes_are_something_or_none(content: bytes) -> None:
    read_dataset(content)
    read_input(content)
    read_output("m", content)
    read_model_meta(content)
    list(read_model_metric(content.decode("utf-8", "replace")))
