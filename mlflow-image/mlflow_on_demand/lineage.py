"""What of the FileStore's layout ties runs to data and models: datasets, inputs, outputs, logged models.

Pure. Values equal what `mlflow migrate-filestore` (MLflow 3.17) makes of the same bytes; what cannot be read is None.

    mlruns/<experiment>/datasets/<id>/meta.yaml
    mlruns/<experiment>/models/<id>/meta.yaml, params/<key>, tags/<key>, metrics/<key>, artifacts/<path>
    mlruns/<experiment>/<run>/inputs/<id>/meta.yaml, outputs/<model>/meta.yaml
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from mlflow_on_demand.fields import ID, one_of, read_mapping, to_integer, to_text

_PENDING, _FAILED = 1, 3
_LIFECYCLE = frozenset({"active", "deleted"})
_KINDS = frozenset({"DATASET", "MODEL"})


@dataclass(frozen=True)
class Dataset:
    """A row of MLflow's table `datasets`, without its ids."""

    name: str
    digest: str
    source_type: str
    source: str
    schema: str | None
    profile: str | None


@dataclass(frozen=True)
class Link:
    """What a run used or made: `kind` is DATASET (then `target` is the dataset's directory), MODEL, or OUTPUT (a model
    that it made, at `step`).
    """

    kind: str
    target: str
    step: int = 0
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelMeta:
    """A row of MLflow's table `logged_models`, without what the snapshot decides (artifact location, experiment)."""

    model_id: str
    name: str
    creation_timestamp: int
    last_updated_timestamp: int
    status: int
    lifecycle_stage: str
    model_type: str | None
    source_run_id: str | None
    status_message: str | None


@dataclass(frozen=True)
class ModelMetric:
    """One value of a logged model's metric, and the run (and dataset) in which it was measured."""

    timestamp: int
    value: float
    step: int
    run_id: str
    dataset_name: str | None
    dataset_digest: str | None


def read_dataset(content: bytes) -> Dataset | None:
    """A dataset's meta.yaml, or None when it is none."""
    meta = read_mapping(content)
    if not meta:
        return None
    return Dataset(
        name=to_text(meta.get("name")) or "",
        digest=to_text(meta.get("digest")) or "",
        source_type=to_text(meta.get("source_type")) or "",
        source=to_text(meta.get("source")) or "",
        schema=to_text(meta.get("schema")),
        profile=to_text(meta.get("profile")),
    )


def read_input(content: bytes) -> Link | None:
    """The meta.yaml of one of a run's inputs, or None when it names no dataset and no model."""
    meta = read_mapping(content)
    kind, target = meta.get("source_type", "DATASET"), to_text(meta.get("source_id"))
    if not target or not isinstance(kind, str) or kind not in _KINDS:
        return None
    tags = meta.get("tags")
    pairs = tags.items() if isinstance(tags, dict) else ()
    texts = {name: value for name, value in pairs if isinstance(name, str) and isinstance(value, str)}
    return Link(kind, target, tags=texts)


def read_output(model_id: str, content: bytes) -> Link | None:
    """The meta.yaml of one of a run's outputs, in the directory named after the model."""
    meta = read_mapping(content)
    return Link("OUTPUT", model_id, to_integer(meta.get("step")) or 0) if meta else None


def read_model_meta(content: bytes) -> ModelMeta | None:
    """A logged model's meta.yaml, or None when it names no usable id."""
    meta = read_mapping(content)
    model_id = to_text(meta.get("model_id")) or ""
    if not ID.fullmatch(model_id):
        return None
    status = to_integer(meta.get("status"))
    return ModelMeta(
        model_id=model_id,
        name=to_text(meta.get("name")) or "",
        creation_timestamp=to_integer(meta.get("creation_timestamp")) or 0,
        last_updated_timestamp=to_integer(meta.get("last_updated_timestamp")) or 0,
        status=status if status is not None and 0 <= status <= _FAILED else _PENDING,
        lifecycle_stage=one_of(meta.get("lifecycle_stage"), _LIFECYCLE, "active"),
        model_type=to_text(meta.get("model_type")),
        source_run_id=to_text(meta.get("source_run_id")),
        status_message=to_text(meta.get("status_message")),
    )


def read_model_metric(text: str) -> Iterator[ModelMetric | None]:
    """The values in one metric's file of a logged model; None stands for a line that is damaged.

    A line is `timestamp value step run_id [dataset_name dataset_digest]`; one without a line feed was cut.
    """
    for line in text.splitlines(keepends=True):
        yield _model_metric(line.strip().split(" ")) if line.endswith("\n") else None


def _model_metric(fields: list[str]) -> ModelMetric | None:
    if len(fields) not in (4, 6):
        return None
    try:
        timestamp, value, step = to_integer(int(fields[0])), float(fields[1]), to_integer(int(fields[2]))
    except ValueError:
        return None
    if timestamp is None or step is None:
        return None
    name, digest = fields[4:] or (None, None)
    return ModelMetric(timestamp, value, step, fields[3], name, digest)
