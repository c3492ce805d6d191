"""The layout of MLflow's FileStore, as files of an archive: which file says what, and what its bytes mean.

Pure. Values equal what `mlflow migrate-filestore` (MLflow 3.17) makes of the same bytes; where it gives up, one damaged
line or field costs only itself here.

    mlruns/<experiment>/meta.yaml, tags/<key>
    mlruns/<experiment>/<run>/meta.yaml, params/<key>, tags/<key>, metrics/<key>, artifacts/<path>
    mlruns/.trash/<experiment>/…                       a deleted experiment
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, BinaryIO

import yaml

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NO_RUNS = frozenset({"tags", "datasets", "traces", "models", ".trash"})
_STATUS_NUMBERS = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}
_SOURCE_TYPES = frozenset({"NOTEBOOK", "JOB", "LOCAL", "UNKNOWN", "PROJECT"})
# What MLflow's handlers accept as a run id; another one could be stored but never asked for.
_RUN_ID = re.compile(r"[a-zA-Z0-9][\w\-]{0,255}", re.ASCII)
_ROOT = re.compile(r"mlruns(_[\w\-]+)?", re.ASCII)
_MAX_LINE = 4096
_MAX_INT = 2**63 - 1
# SQLite and JSON know no infinity: MLflow stores the largest double instead.
_MAX_FLOAT = 1.7976931348623157e308


class Part(StrEnum):
    """What a file of the layout belongs to."""

    EXPERIMENT_META = "experiment meta"
    EXPERIMENT_TAG = "experiment tag"
    META = "meta"
    PARAM = "param"
    TAG = "tag"
    METRIC = "metric"
    ARTIFACT = "artifact"


@dataclass(frozen=True)
class Place:
    """Where a file belongs: `run` is the run's directory ("" for the experiment's own files), `key` the name of the
    parameter, tag or metric, or the artifact's path; nested names keep their slashes.
    """

    part: Part
    experiment: str
    run: str = ""
    key: str = ""
    is_deleted: bool = False


@dataclass(frozen=True)
class RunMeta:
    """A run's row of MLflow's table `runs`, without what the snapshot decides (artifact URI, experiment)."""

    run_uuid: str
    name: str | None
    source_type: str
    source_name: str
    entry_point_name: str
    user_id: str | None
    status: str
    start_time: int | None
    end_time: int | None
    deleted_time: int | None
    source_version: str
    lifecycle_stage: str


@dataclass(frozen=True)
class MetricPoint:
    """One value of one metric: timestamp in milliseconds since 1970; `value` is 0 when it is NaN."""

    timestamp: int
    value: float
    step: int
    is_nan: bool


_PARTS = {"params": Part.PARAM, "tags": Part.TAG, "metrics": Part.METRIC, "artifacts": Part.ARTIFACT}


def place_of(path: tuple[str, ...]) -> Place | None:
    """What the file at `path` is in the layout (with or without the leading `mlruns`), or None when it is no part.

    PanDA's wrapper of an HPO job (`runHPO` of panda-client) renames what it packs to `mlruns_<sample id>`.
    """
    parts = path[1:] if path and _ROOT.fullmatch(path[0]) else path
    if parts[:1] == (".trash",):
        place = place_of(parts[1:]) if parts[1:2] != (".trash",) else None
        return replace(place, is_deleted=True) if place else None
    if len(parts) < 2 or not (parts[0].isascii() and parts[0].isdigit()):
        return None
    experiment, second, rest = parts[0], parts[1], parts[2:]
    if not rest:
        return Place(Part.EXPERIMENT_META, experiment) if second == "meta.yaml" else None
    if second in _NO_RUNS:
        return Place(Part.EXPERIMENT_TAG, experiment, key="/".join(rest)) if second == "tags" else None
    return _place_in_run(experiment, second, rest)


def _place_in_run(experiment: str, run: str, rest: tuple[str, ...]) -> Place | None:
    if rest == ("meta.yaml",):
        return Place(Part.META, experiment, run)
    part = _PARTS.get(rest[0])
    if part is None or len(rest) < 2:
        return None
    return Place(part, experiment, run, "/".join(rest[1:]))


def read_text(content: bytes) -> str:
    """A parameter's or tag's value: UTF-8, any newline read as a line feed; what is no UTF-8 is replaced."""
    return content.decode("utf-8", errors="replace").replace("\r\n", "\n").replace("\r", "\n")


def read_run_meta(content: bytes) -> RunMeta | None:
    """A run's meta.yaml, or None when it names no usable run id; senseless fields fall back to MLflow's defaults."""
    meta = _yaml_mapping(content)
    run_uuid = _text(meta.get("run_uuid")) or _text(meta.get("run_id")) or ""
    if not _RUN_ID.fullmatch(run_uuid):
        return None
    status = meta.get("status", 1)
    status = _STATUS_NUMBERS.get(status, "RUNNING") if isinstance(status, int) else status
    return RunMeta(
        run_uuid=run_uuid,
        name=_text(meta.get("run_name")) or _text(meta.get("name")),
        source_type=_one_of(meta.get("source_type"), _SOURCE_TYPES, "LOCAL"),
        source_name=_text(meta.get("source_name")) or "",
        entry_point_name=_text(meta.get("entry_point_name")) or "",
        user_id=_text(meta.get("user_id")),
        status=_one_of(status, frozenset(_STATUS_NUMBERS.values()), "RUNNING"),
        start_time=_integer(meta.get("start_time")),
        end_time=_integer(meta.get("end_time")),
        deleted_time=_integer(meta.get("deleted_time")),
        source_version=_text(meta.get("source_version")) or "",
        lifecycle_stage=_one_of(meta.get("lifecycle_stage"), frozenset({"active", "deleted"}), "active"),
    )


def read_experiment_times(content: bytes) -> tuple[int | None, int | None]:
    """Creation and last update of an experiment, in milliseconds since 1970, from its meta.yaml."""
    meta = _yaml_mapping(content)
    return _integer(meta.get("creation_time")), _integer(meta.get("last_update_time"))


def read_metric(content: BinaryIO) -> Iterator[MetricPoint | None]:
    """The points of one metric's file, line by line; None stands for a line that is damaged.

    A line is `timestamp value [step …]`. MLflow ends every line with a line feed, so a last line without one was cut
    while it was written: its number may lack digits, and it counts as damaged.
    """
    while line := content.readline(_MAX_LINE):
        yield _metric_point(line.decode("utf-8", errors="replace")) if line.endswith(b"\n") else None


def _metric_point(line: str) -> MetricPoint | None:
    fields = line.strip().split(" ")
    if len(fields) < 2:
        return None
    try:
        timestamp, value = int(fields[0]), float(fields[1])
        step = int(fields[2]) if len(fields) > 2 else 0
    except ValueError:
        return None
    if max(abs(timestamp), abs(step)) > _MAX_INT:
        return None
    if math.isnan(value):
        return MetricPoint(timestamp, 0.0, step, is_nan=True)
    return MetricPoint(timestamp, max(-_MAX_FLOAT, min(_MAX_FLOAT, value)), step, is_nan=False)


def _yaml_mapping(content: bytes) -> dict[Any, Any]:
    try:
        meta = yaml.load(content, Loader=_LOADER)  # noqa: S506 (a safe loader, in C where it was built)
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    return meta if isinstance(meta, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _MAX_INT else None


def _one_of(value: object, known: frozenset[str], otherwise: str) -> str:
    return value if isinstance(value, str) and value in known else otherwise
