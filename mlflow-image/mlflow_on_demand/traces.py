"""What the FileStore's layout keeps of traces: their facts, assessments of them, and what their metadata is counted by.

Pure. Values equal what `mlflow migrate-filestore` (MLflow 3.17) makes of the same bytes; what cannot be read is None.
Spans are in none of its tables: they stay a file among a trace's artifacts, from which MLflow's server reads them.

    mlruns/<experiment>/traces/<id>/trace_info.yaml, tags/<key>, request_metadata/<key>
    mlruns/<experiment>/traces/<id>/assessments/<id>.yaml, artifacts/<path>
"""

import datetime
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from mlflow_on_demand.fields import ID, MAX_INT, read_mapping, to_integer, to_text

SESSION = "mlflow.trace.session"
TRACE_NAME = "mlflow.traceName"
_TOKENS = (
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cache_creation_input_tokens_above_1hr",
)
_COSTS = ("input_cost", "output_cost", "total_cost")
# By the metadata whose JSON tells them: MLflow keeps these in columns of a trace's row.
COUNTED = {"mlflow.trace.tokenUsage": _TOKENS, "mlflow.trace.cost": _COSTS}
_MAX_NAME, _MAX_SESSION = 4096, 250
# A few bytes of YAML may stand for any number of the same text.
_MAX_JSON = 8 * 2**20


@dataclass(frozen=True)
class TraceInfo:
    """A row of MLflow's table `trace_info`, without what the snapshot decides and what tags and metadata tell."""

    trace_id: str
    timestamp_ms: int
    execution_time_ms: int | None
    status: str
    client_request_id: str | None
    request_preview: str | None
    response_preview: str | None


@dataclass(frozen=True)
class Assessment:
    """A row of MLflow's table `assessments`, without its trace; `value`, `error` and `metadata` are JSON."""

    assessment_id: str
    name: str
    assessment_type: str
    value: str
    error: str | None
    created: int
    updated: int
    source_type: str
    source_id: str | None
    run_id: str | None
    span_id: str | None
    rationale: str | None
    overrides: str | None
    valid: bool
    metadata: str | None
    aggregate_value: float | None
    is_numeric_value: bool


@dataclass(frozen=True)
class TraceTexts:
    """A trace's tags and metadata as rows, and those of them that are columns of its own row."""

    tags: dict[str, str]
    metadata: dict[str, str]
    columns: dict[str, int | float | str | None]


def read_trace_info(directory: str, content: bytes) -> TraceInfo | None:
    """A trace's trace_info.yaml, as MLflow 2 or 3 writes it, or None when it is none or names no usable id."""
    meta = read_mapping(content)
    trace_id = to_text(meta.get("trace_id")) or to_text(meta.get("request_id")) or directory
    if not meta or not ID.fullmatch(trace_id):
        return None
    return TraceInfo(
        trace_id=trace_id,
        timestamp_ms=_timestamp(meta),
        execution_time_ms=to_integer(meta.get("execution_time_ms")) or to_integer(meta.get("execution_duration_ms")),
        status=to_text(meta.get("status")) or to_text(meta.get("state")) or "OK",
        client_request_id=to_text(meta.get("client_request_id")),
        request_preview=to_text(meta.get("request_preview")),
        response_preview=to_text(meta.get("response_preview")),
    )


def _timestamp(meta: Mapping[Any, Any]) -> int:
    """Milliseconds since 1970: a number in MLflow 2, a text in MLflow 3; 0 when it is neither."""
    given = meta.get("request_time") if meta.get("timestamp_ms") is None else meta["timestamp_ms"]
    text = to_text(given)
    if text is None:
        return to_integer(given) or 0
    try:
        time = datetime.datetime.fromisoformat(text)
        return int(time.replace(tzinfo=time.tzinfo or datetime.UTC).timestamp() * 1000)
    except (ValueError, OverflowError):
        return 0


def read_assessment(name: str, content: bytes) -> Assessment | None:
    """The file of one assessment, in the file `<name>.yaml`, or None when it is none."""
    meta = read_mapping(content)
    kind = "feedback" if meta.get("feedback") is not None else "expectation"
    given, source = meta.get(kind), meta.get("source") or {}
    assessment_id = to_text(meta.get("assessment_id")) or name
    if not isinstance(given, dict) or not isinstance(source, dict) or not ID.fullmatch(assessment_id):
        return None
    error, metadata = given.get("error") if kind == "feedback" else None, meta.get("metadata")
    try:
        texts = [_to_json(given.get("value")), *(_to_json(one) if one else None for one in (error, metadata))]
    except (TypeError, ValueError, RecursionError):
        return None
    created = to_integer(meta.get("create_time_ms")) or 0
    updated = to_integer(meta.get("last_update_time_ms"))
    valid = meta.get("valid", True)
    aggregate, is_numeric = _aggregate(given.get("value"))
    return Assessment(
        assessment_id=assessment_id,
        name=to_text(meta.get("assessment_name", meta.get("name"))) or "",
        assessment_type=kind,
        value=texts[0] or "null",
        error=texts[1],
        created=created,
        updated=created if updated is None else updated,
        source_type=to_text(source.get("source_type")) or "CODE",
        source_id=to_text(source.get("source_id")),
        run_id=to_text(meta.get("run_id")),
        span_id=to_text(meta.get("span_id")),
        rationale=to_text(meta.get("rationale")),
        overrides=to_text(meta.get("overrides")),
        valid=valid if isinstance(valid, bool) else True,
        metadata=texts[2],
        aggregate_value=aggregate,
        is_numeric_value=is_numeric,
    )


def _to_json(value: object) -> str:
    """As `json.dumps`; ValueError when it becomes too long."""
    chunks, size = [], 0
    for chunk in json.JSONEncoder().iterencode(value):
        chunks.append(chunk)
        size += len(chunk)
        if size > _MAX_JSON:
            raise ValueError("the value is too long")
    return "".join(chunks)


def _aggregate(value: object) -> tuple[float | None, bool]:
    """What MLflow takes the mean of, and whether it is a number."""
    if isinstance(value, bool):
        return float(value), False
    if isinstance(value, int | float):
        number = _to_finite(value)
        return number, number is not None
    if isinstance(value, str):
        return {"yes": 1.0, "no": 0.0}.get(value.strip().lower()), False
    return None, False


def sort_texts(tags: Mapping[str, str], metadata: Mapping[str, str]) -> TraceTexts:
    """Which of a trace's tags and metadata are rows of their own, and which are columns, cut as MLflow cuts them."""
    columns: dict[str, int | float | str | None] = {}
    if TRACE_NAME in tags:
        columns["trace_name"] = tags[TRACE_NAME][:_MAX_NAME]
    if SESSION in metadata:
        columns["session_id"] = metadata[SESSION][:_MAX_SESSION]
    for key, names in COUNTED.items():
        told = _read_json(metadata.get(key, ""))
        convert: Callable[[Any], int | float | None] = _to_count if names is _TOKENS else _to_finite
        columns.update({name: convert(told[name]) for name in names if name in told})
    return TraceTexts(
        tags={key: value for key, value in tags.items() if key != TRACE_NAME},
        metadata={key: value for key, value in metadata.items() if key != SESSION and key not in COUNTED},
        columns=columns,
    )


def _read_json(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _to_count(value: Any) -> int | None:
    try:
        number = Decimal(str(value))
    except (InvalidOperation, ValueError):
        return None
    if isinstance(value, bool) or not number.is_finite() or not -MAX_INT - 1 <= number <= MAX_INT:
        return None
    return int(number) if number == number.to_integral_value() else None


def _to_finite(value: Any) -> float | None:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
