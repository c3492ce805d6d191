"""Traces and registered models of a job's tarball, written by hand."""

from collections.abc import Mapping

from support.hpo_files import NOON, run_id


def trace(
    trace_id: str, run: int | None = None, *, state: str = "OK", duration: int = 5, good: int = 0
) -> dict[str, bytes]:
    """A trace, maybe made by a run, with as many assessments as `good` says; its spans tell its duration."""
    folder = f"mlruns/1/traces/{trace_id}"
    texts = {
        "trace_info.yaml": f"trace_id: {trace_id}\nstate: {state}\nexecution_duration_ms: {duration}\n"
        f"timestamp_ms: {NOON}\nrequest_preview: why?\n",
        "tags/mlflow.traceName": "ask",
        "tags/mlflow.artifactLocation": f"file:///srv/{folder}/artifacts",
        "artifacts/traces.json": f'{{"spans": [], "duration": {duration}}}',
        **({"request_metadata/mlflow.sourceRun": run_id(run)} if run is not None else {}),
        **{f"assessments/{trace_id}-{n}.yaml": "assessment_name: good\nfeedback:\n  value: 1\n" for n in range(good)},
    }
    return {f"{folder}/{path}": text.encode() for path, text in texts.items()}


def registered(name: str, versions: Mapping[int, str], **files: str) -> dict[str, bytes]:
    """A registered model: the meta.yaml of each version, by number; other files by path, with `__` for slashes."""
    folder = f"mlruns/models/{name}"
    metas = {f"version-{number}/meta.yaml": f"version: {number}\n{meta}" for number, meta in versions.items()}
    others = {path.replace("__", "/"): text for path, text in files.items()}
    texts = {"meta.yaml": f"name: {name}\ncreation_timestamp: {NOON}\n", **metas, **others}
    return {f"{folder}/{path}": text.encode() for path, text in texts.items()}


def version_of(run: int, path: str = "net", created: int = NOON) -> str:
    """The meta.yaml of a version that a run made on its worker node, without its number."""
    uri = f"file:///srv/workDir/mlruns/1/{run_id(run)}/artifacts/{path}"
    return f"creation_timestamp: {created}\nrun_id: '{run_id(run)}'\nsource: {uri}\nstorage_location: {uri}\n"
