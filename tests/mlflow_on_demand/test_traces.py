"""What files of traces mean: as MLflow's own functions say, where it has some (whole releases: test_vintages)."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.store.fs2db._tracking import _get_trace_timestamp_ms
from mlflow.store.tracking.utils.trace_analytics import analytics_columns_from_metadata, assessment_aggregate

from mlflow_on_demand.traces import (
    COUNTED,
    SESSION,
    Assessment,
    TraceInfo,
    TraceTexts,
    read_assessment,
    read_trace_info,
    sort_texts,
)


@pytest.mark.parametrize(
    ("meta", "info"),
    [
        (
            (
                b"trace_id: tr-1\nrequest_time: '2026-11-26T02:14:49.749Z'\nexecution_duration_ms: 3\nstate: ERROR\n"
                b"client_request_id: c\nrequest_preview: why?\nresponse_preview: '7'\n"
            ),
            TraceInfo("tr-1", 1795659289749, 3, "ERROR", "c", "why?", "7"),
        ),
        (
            b"request_id: abc\ntimestamp_ms: 17\nexecution_time_ms: 0\nstatus: IN_PROGRESS\n",
            TraceInfo("abc", 17, None, "IN_PROGRESS", None, None, None),
        ),
        (b"state: OK\nrequest_time: soon\n", TraceInfo("folder", 0, None, "OK", None, None, None)),
        (b"trace_id: ../x\n", None),
        (b"{}", None),
        (b"\xff", None),
    ],
)
def test_a_traces_facts(meta: bytes, info: TraceInfo | None) -> None:
    assert read_trace_info("folder", meta) == info


WRITTEN = st.text("0123456789-T:.+Z x", max_size=20) | st.datetimes().map(lambda time: time.isoformat())
TIMES = st.none() | st.integers(-(2**40), 2**60) | WRITTEN


@given(TIMES, TIMES, st.sampled_from(["", "Z", "+02:00"]))
def test_times_are_read_as_mlflow_reads_them(number: object, time: object, zone: str) -> None:
    meta = {"timestamp_ms": number if isinstance(number, int) else None, "request_time": time}
    if isinstance(time, str):
        meta["request_time"] = time + zone
    info = read_trace_info("folder", json.dumps({**meta, "x": 1}).encode())
    assert info is not None
    assert info.timestamp_ms == _get_trace_timestamp_ms(meta)


def test_an_assessment() -> None:
    content = (
        b"assessment_id: a-1\nassessment_name: good\nfeedback:\n  value: true\n  error: {error_code: E1}\n"
        b"source: {source_type: HUMAN, source_id: me}\nrationale: it is\nvalid: false\nmetadata: {a: b}\n"
        b"create_time_ms: 5\nrun_id: r\nspan_id: s\noverrides: a-0\n"
    )
    assert read_assessment("file", content) == Assessment(
        "a-1", "good", "feedback", "true", '{"error_code": "E1"}', 5, 5, "HUMAN", "me", "r", "s", "it is", "a-0",
        valid=False, metadata='{"a": "b"}', aggregate_value=1.0, is_numeric_value=False,
    )  # fmt: skip
    expected = read_assessment("file", b"expectation: {value: [1, x]}\nname: old\nlast_update_time_ms: 7\n")
    assert expected is not None
    assert dataclasses.astuple(expected)[:8] == ("file", "old", "expectation", '[1, "x"]', None, 0, 7, "CODE")


BOMB = b"a: &a [x,x,x,x,x,x,x,x]\n" + b"".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 8)}]\n".encode() for old, new in zip("abcdefghi", "bcdefghij", strict=True)
)


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"assessment_id: ../x\nfeedback: {value: 1}\n",
        b"name: nothing said\n",
        b"feedback: 1\n",
        b"feedback: {value: 2026-11-26}\n",
        b"feedback: {value: &a [*a]}\n",
        BOMB + b"feedback: {value: *j}\n",
    ],
)
def test_what_is_no_assessment_is_none(content: bytes) -> None:
    assert read_assessment("file", content) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(JSON)
def test_values_are_summed_up_as_mlflow_does(value: object) -> None:
    read = read_assessment("file", json.dumps({"feedback": {"value": value}}).encode())
    if read is not None and json.loads(read.value) == value:  # YAML may read a text in another way
        assert (read.aggregate_value, read.is_numeric_value) == assessment_aggregate(value)


NAMES = st.sampled_from([name for names in COUNTED.values() for name in names])


@given(st.dictionaries(st.sampled_from([*COUNTED, "other"]), st.dictionaries(NAMES, JSON) | JSON))
def test_metadata_is_counted_as_mlflow_does(told: dict[str, object]) -> None:
    metadata = {key: json.dumps(value) for key, value in told.items()}
    assert sort_texts({}, metadata).columns == analytics_columns_from_metadata(metadata)


def test_texts_that_are_columns_are_no_rows() -> None:
    metadata = {SESSION: "s" * 300, "mlflow.trace.cost": "{nonsense", "mlflow.user": "me"}
    assert sort_texts({"mlflow.traceName": "n" * 5000, "colour": "red"}, metadata) == TraceTexts(
        {"colour": "red"}, {"mlflow.user": "me"}, {"trace_name": "n" * 4096, "session_id": "s" * 250}
    )


@given(st.binary(max_size=200))
def test_any_bytes_are_something_or_none(content: bytes) -> None:
    read_trace_info("folder", content)
    read_assessment("file", content)
