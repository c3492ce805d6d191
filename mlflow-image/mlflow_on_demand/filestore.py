"""The layout of MLflow's FileStore, as files of an archive: which file says what, and what its bytes mean.

Pure. Values equal what `mlflow migrate-filestore` (MLflow 3.17) makes of the same bytes; where it gives up, a damaged
field costs only itself here.

    mlruns/<experiment>/meta.yaml, tags/<key>
    mlruns/<experiment>/<run>/meta.yaml, params/<key>, tags/<key>, artifacts/<path>
    mlruns/<experiment>/<run>/metrics/<key>                                   see `points`
    mlruns/<experiment>/datasets, models; <run>/inputs, outputs               see `lineage`
    mlruns/<experiment>/traces                         see `traces`
    mlruns/models/<name>                               see `registry`
    mlruns/.trash/<experiment>/…                       a deleted experiment
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from mlflow_on_demand.fields import ID, one_of, read_mapping, to_integer, to_text

_META = "meta.yaml"
_NO_RUNS = frozenset({"tags", "datasets", "traces", "models", ".trash"})
_STATUS_NUMBERS = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}
_SOURCE_TYPES = frozenset({"NOTEBOOK", "JOB", "LOCAL", "UNKNOWN", "PROJECT"})
_ROOT = re.compile(r"mlruns(_[\w\-]+)?", re.ASCII)


class Part(StrEnum):
    """What a file of the layout belongs to."""

    EXPERIMENT_META = "experiment meta"
    EXPERIMENT_TAG = "experiment tag"
    META = "meta"
    PARAM = "param"
    TAG = "tag"
    METRIC = "metric"
    ARTIFACT = "artifact"
    INPUT = "input"
    OUTPUT = "output"
    DATASET = "dataset"
    MODEL_META = "model meta"
    MODEL_PARAM = "model param"
    MODEL_TAG = "model tag"
    MODEL_METRIC = "model metric"
    MODEL_ARTIFACT = "model artifact"
    TRACE_INFO = "trace info"
    TRACE_TAG = "trace tag"
    TRACE_METADATA = "trace metadata"
    TRACE_ASSESSMENT = "trace assessment"
    TRACE_ARTIFACT = "trace artifact"
    REGISTERED_META = "registered model meta"
    REGISTERED_TAG = "registered model tag"
    REGISTERED_ALIAS = "registered model alias"
    VERSION_META = "model version meta"
    VERSION_TAG = "model version tag"


class Place(NamedTuple):
    """Where a file belongs: `owner` is the directory of the run, logged model, trace, registered model (then there is
    no experiment) or, below that, version, and "" for the experiment's own files; `key` the name of the parameter, tag,
    metric, assessment or alias, the directory of the dataset, input or output, or the artifact's path; nested names
    keep their slashes.
    """

    part: Part
    experiment: str
    owner: str = ""
    key: str = ""
    is_deleted: bool = False


@dataclass(frozen=True)
class RunMeta:
    """A run's row of MLflow's table `runs`, without what the snapshot decides (artifact URI, experiment)."""

    run_uuid: str
    name: str | None
    source_type: str
    source_name: str | None
    entry_point_name: str | None
    user_id: str | None
    status: str
    start_time: int | None
    end_time: int | None
    deleted_time: int | None
    source_version: str | None
    lifecycle_stage: str


_PARTS = {
    _META: Part.META,
    "params": Part.PARAM,
    "tags": Part.TAG,
    "metrics": Part.METRIC,
    "artifacts": Part.ARTIFACT,
}
_MODEL_PARTS = {
    _META: Part.MODEL_META,
    "params": Part.MODEL_PARAM,
    "tags": Part.MODEL_TAG,
    "metrics": Part.MODEL_METRIC,
    "artifacts": Part.MODEL_ARTIFACT,
}
_TRACE_PARTS = {
    "trace_info.yaml": Part.TRACE_INFO,
    "tags": Part.TRACE_TAG,
    "request_metadata": Part.TRACE_METADATA,
    "artifacts": Part.TRACE_ARTIFACT,
}
_REGISTERED_PARTS = {_META: Part.REGISTERED_META, "tags": Part.REGISTERED_TAG}
_VERSION_PARTS = {_META: Part.VERSION_META, "tags": Part.VERSION_TAG}
_LINKS = {"inputs": Part.INPUT, "outputs": Part.OUTPUT}
_VERSION = "version-"


def place_of(path: tuple[str, ...]) -> Place | None:
    """What the file at `path` is in the layout (with or without the leading `mlruns`), or None when it is no part.

    PanDA's wrapper of an HPO job (`runHPO` of panda-client) renames what it packs to `mlruns_<sample id>`.
    """
    parts = path[1:] if path and _ROOT.fullmatch(path[0]) else path
    if parts[:1] == (".trash",):
        place = place_of(parts[1:]) if parts[1:2] not in ((".trash",), ("models",)) else None
        return place._replace(is_deleted=True) if place else None
    if parts[:1] == ("models",):
        return _place_in_registry(parts[1], parts[2:]) if len(parts) > 2 else None
    return _place_of_experiment(parts)


def _place_of_experiment(parts: tuple[str, ...]) -> Place | None:
    if len(parts) < 2 or not (parts[0].isascii() and parts[0].isdigit()):
        return None
    experiment, second, rest = parts[0], parts[1], parts[2:]
    if not rest:
        return Place(Part.EXPERIMENT_META, experiment) if second == _META else None
    if second in _NO_RUNS:
        return _place_in_experiment(experiment, second, rest)
    if rest[0] in _LINKS:
        return Place(_LINKS[rest[0]], experiment, second, rest[1]) if _is_meta(rest[1:]) else None
    return _place_of(experiment, second, rest, _PARTS)


def _place_in_experiment(experiment: str, second: str, rest: tuple[str, ...]) -> Place | None:
    if second == "tags":
        return Place(Part.EXPERIMENT_TAG, experiment, key="/".join(rest))
    if second == "models":
        return _place_of(experiment, rest[0], rest[1:], _MODEL_PARTS)
    if second == "traces":
        return _place_in_traces(experiment, rest[0], rest[1:])
    if second == "datasets" and _is_meta(rest):
        return Place(Part.DATASET, experiment, key=rest[0])
    return None


def _place_in_traces(experiment: str, trace: str, rest: tuple[str, ...]) -> Place | None:
    if len(rest) == 2 and rest[0] == "assessments" and rest[1].endswith(".yaml"):
        return Place(Part.TRACE_ASSESSMENT, experiment, trace, rest[1].removesuffix(".yaml"))
    return _place_of(experiment, trace, rest, _TRACE_PARTS)


def _place_in_registry(model: str, rest: tuple[str, ...]) -> Place | None:
    if rest[0].startswith(_VERSION):
        return _place_of("", f"{model}/{rest[0]}", rest[1:], _VERSION_PARTS)
    if len(rest) == 2 and rest[0] == "aliases":
        return Place(Part.REGISTERED_ALIAS, "", model, rest[1])
    return _place_of("", model, rest, _REGISTERED_PARTS)


def _place_of(experiment: str, owner: str, rest: tuple[str, ...], parts: Mapping[str, Part]) -> Place | None:
    part = parts.get(rest[0]) if rest else None
    if part is None or (len(rest) == 1) != rest[0].endswith(".yaml"):
        return None
    return Place(part, experiment, owner, "/".join(rest[1:]))


def _is_meta(rest: tuple[str, ...]) -> bool:
    return len(rest) == 2 and rest[1] == _META


def read_text(content: bytes) -> str:
    """A parameter's or tag's value: UTF-8, any newline read as a line feed; what is no UTF-8 is replaced."""
    return content.decode("utf-8", errors="replace").replace("\r\n", "\n").replace("\r", "\n")


def read_run_meta(content: bytes) -> RunMeta | None:
    """A run's meta.yaml, or None when it names no usable run id; senseless fields fall back to MLflow's defaults."""
    meta = read_mapping(content)
    run_uuid = to_text(meta.get("run_uuid")) or to_text(meta.get("run_id")) or ""
    if not ID.fullmatch(run_uuid):
        return None
    status = meta.get("status", 1)
    status = _STATUS_NUMBERS.get(status, "RUNNING") if isinstance(status, int) else status
    return RunMeta(
        run_uuid=run_uuid,
        name=to_text(meta.get("run_name")) or to_text(meta.get("name")),
        source_type=one_of(meta.get("source_type"), _SOURCE_TYPES, "LOCAL"),
        source_name=_text_or_null(meta, "source_name"),
        entry_point_name=_text_or_null(meta, "entry_point_name"),
        user_id=to_text(meta.get("user_id")),
        status=one_of(status, frozenset(_STATUS_NUMBERS.values()), "RUNNING"),
        start_time=to_integer(meta.get("start_time")),
        end_time=to_integer(meta.get("end_time")),
        deleted_time=to_integer(meta.get("deleted_time")),
        source_version=_text_or_null(meta, "source_version"),
        lifecycle_stage=one_of(meta.get("lifecycle_stage"), frozenset({"active", "deleted"}), "active"),
    )


def read_experiment_times(content: bytes) -> tuple[int | None, int | None]:
    """Creation and last update of an experiment, in milliseconds since 1970, from its meta.yaml."""
    meta = read_mapping(content)
    return to_integer(meta.get("creation_time")), to_integer(meta.get("last_update_time"))


def _text_or_null(meta: Mapping[object, object], key: str) -> str | None:
    """Null where it is written, as releases before 1.0 do; "" where nothing is."""
    value = meta.get(key, "")
    return None if value is None else to_text(value) or ""
