"""What the FileStore's layout keeps of the model registry: registered models (prompts are such), versions, aliases.

Pure. Values equal what `mlflow migrate-filestore` (MLflow 3.17) makes of the same bytes; what cannot be read is None.

    mlruns/models/<name>/meta.yaml, tags/<key>, aliases/<alias>
    mlruns/models/<name>/version-<number>/meta.yaml, tags/<key>
"""

import json
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from mlflow_on_demand.fields import ID, read_mapping, to_integer, to_text

# A version by model and number, in one tarball, and its number in the snapshot.
Numbers = Mapping[tuple[str, int], int]

_MAX_VERSION = 10**9
_ARTIFACTS = re.compile(rf"(?:^|/)\d+/((?:models/)?{ID.pattern}/artifacts(?:/.*)?)", re.ASCII | re.DOTALL)
# Of runs, traces and logged models: JSON lists of model (or prompt) versions.
_NAMING_VERSIONS = ("mlflow.modelVersions", "mlflow.linkedPrompts")


@dataclass(frozen=True)
class RegisteredModel:
    """A row of MLflow's table `registered_models`; times in milliseconds since 1970."""

    name: str
    creation_time: int | None
    last_updated_time: int | None
    description: str | None


@dataclass(frozen=True)
class ModelVersion:
    """A row of MLflow's table `model_versions` without its model, as its tarball has it."""

    version: int
    creation_time: int | None
    last_updated_time: int | None
    description: str | None
    user_id: str | None
    current_stage: str | None
    source: str | None
    storage_location: str | None
    run_id: str | None
    run_link: str | None
    status: str | None
    status_message: str | None


def read_registered_model(directory: str, content: bytes) -> RegisteredModel | None:
    """A registered model's meta.yaml, or None when it is none, or has a name that MLflow would not take."""
    meta = read_mapping(content)
    name = to_text(meta.get("name", directory)) or ""
    if not meta or not name.strip() or "/" in name or ":" in name or posixpath.normpath(name) in (".", ".."):
        return None
    created, updated = meta.get("creation_timestamp"), meta.get("last_updated_timestamp")
    return RegisteredModel(name, to_integer(created), to_integer(updated), to_text(meta.get("description")))


def read_model_version(content: bytes) -> ModelVersion | None:
    """A model version's meta.yaml, or None when it names no usable number."""
    meta = read_mapping(content)
    version = read_version(str(meta.get("version")))
    if version is None:
        return None
    return ModelVersion(
        version=version,
        creation_time=to_integer(meta.get("creation_timestamp")),
        last_updated_time=to_integer(meta.get("last_updated_timestamp")),
        description=to_text(meta.get("description")),
        user_id=to_text(meta.get("user_id")),
        current_stage=to_text(meta.get("current_stage", "None")),
        source=to_text(meta.get("source")),
        storage_location=to_text(meta.get("storage_location")),
        run_id=to_text(meta.get("run_id")),
        run_link=to_text(meta.get("run_link")),
        status=to_text(meta.get("status", "READY")),
        status_message=to_text(meta.get("status_message")),
    )


def read_version(text: str) -> int | None:
    """The number of a version, or None."""
    number = text.strip()
    is_one = number.isascii() and number.isdigit() and len(number) <= len(str(_MAX_VERSION))
    return int(number) if is_one and 0 < int(number) <= _MAX_VERSION else None


def find_member(uri: str | None) -> str | None:
    """Where in a snapshot the artifacts of a run or logged model lie, or what is below them, to which a worker node's
    address or `models:/<id>` points; quoted for a URI. None for an address of another kind.
    """
    try:
        split = urlsplit(uri or "")
    except ValueError:
        return None
    if split.scheme == "models":
        return f"models/{split.path[1:]}/artifacts" if ID.fullmatch(split.path[1:]) else None
    if not uri or split.scheme not in ("", "file"):
        return None
    found = _ARTIFACTS.search(unquote(split.path) if split.scheme else uri)
    return quote(found[1]) if found else None


def renumber(tags: dict[str, str], numbers: Numbers) -> dict[str, str]:
    """The tags of a run, a trace or a logged model, the versions that they name numbered as in the snapshot."""
    named = [key for key in _NAMING_VERSIONS if key in tags] if numbers else []
    return {**tags, **{key: _renumber(tags[key], numbers) for key in named}}


def _renumber(text: str, numbers: Numbers) -> str:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return text
    changed = False
    for one in found if isinstance(found, list) else ():
        name, former = (one.get("name"), one.get("version")) if isinstance(one, dict) else (None, None)
        number = numbers.get((name, read_version(str(former)) or 0)) if isinstance(name, str) else None
        if number is not None and str(number) != str(former):
            one["version"] = number if isinstance(former, int) else str(number)
            changed = True
    return json.dumps(found) if changed else text
