"""Fill a FileStore with all that this interpreter's MLflow can write; called by `make-filestores`, Python 3.6 or later.

usage: fill_filestore.py <folder in which mlruns is made>
"""

import contextlib
import inspect
import math
import os
import sys
from pathlib import Path
from typing import Any, Callable  # noqa: UP035 (Python 3.6)

import mlflow
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

VERSION = tuple(int(part) for part in mlflow.__version__.split(".")[:2])
NOON = 1700000000000


def main(folder: str) -> None:
    os.chdir(folder)
    client = MlflowClient((Path.cwd() / "mlruns").as_uri())
    experiment = client.create_experiment("hpo größe")
    if hasattr(client, "set_experiment_tag"):
        client.set_experiment_tag(experiment, "mlflow.note.content", "grüße\nzwei Zeilen")
    best = make_run(client, experiment, "best ☀")
    fill(client, best)
    make_run(client, experiment, "child", "FAILED", parent=best)
    if VERSION >= (1, 0):
        make_run(client, experiment, "killed", "KILLED")
    make_run(client, experiment, "still running", "")
    deleted = make_run(client, experiment, "deleted")
    log_metric(client, deleted, "loss", 9.0, 0)
    client.delete_run(deleted)
    gone = client.create_experiment("deleted experiment")
    log_metric(client, make_run(client, gone, "of a deleted experiment"), "loss", 4.0, 0)
    client.delete_experiment(gone)
    if VERSION >= (2, 4):
        log_datasets(client, best, make_run(client, experiment, "same data"))
    models = log_models(client, experiment, best) if VERSION >= (3, 0) else []
    if hasattr(mlflow, "start_span"):
        log_traces(experiment, best)
    if VERSION >= (2, 1):
        register_models(client, best, models)


def make_run(client: Any, experiment: str, name: str, status: str = "FINISHED", parent: str = "") -> Any:
    if "run_name" in inspect.signature(client.create_run).parameters:
        info = client.create_run(experiment, run_name=name).info
    else:
        info = client.create_run(experiment).info
    run = getattr(info, "run_id", None) or info.run_uuid
    client.set_tag(run, "mlflow.runName", name)
    client.set_tag(run, "mlflow.user", "atlaspil")
    if parent:
        client.set_tag(run, "mlflow.parentRunId", parent)
    if status:
        client.set_terminated(run, status)
    return run


def fill(client: Any, run: str) -> None:
    client.log_param(run, "model/layers/0/units", 128)
    client.log_param(run, "learning rate", 0.1)
    client.log_param(run, "größe", "groß")
    if VERSION >= (1, 30):  # what older ones write, they cannot read
        client.log_param(run, "lines", "zwei\nZeilen, ü\r\nund drei")
        client.log_param(run, "empty", "")
    client.set_tag(run, "nested/tag", "☀")
    client.set_tag(run, "empty", "")
    longest(lambda size: client.log_param(run, "long", "x" * size))
    longest(lambda size: client.set_tag(run, "long", "y" * size))
    values = [1.0, math.nan, math.inf, -math.inf, 1e300, -1e-300, 0.1 + 0.2, 2**60, 0]
    for step, value in enumerate(values):
        if math.isfinite(value) or VERSION >= (1, 30):
            log_metric(client, run, "loss", value, step)
    log_metric(client, run, "val/größe", 0.5, -3)
    log_metric(client, run, "late", 0.25, 2**40)
    log_metric(client, run, "ends in NaN", 1.0, 0)
    if VERSION >= (1, 30):
        log_metric(client, run, "ends in NaN", math.nan, 1)
    client.log_metric(run, "without step or time", 7)
    log_batch(client, run)
    Path("plot.html").write_text("<b>plot</b>")
    client.log_artifact(run, "plot.html", "plots")
    Path("plot.html").unlink()


def longest(log: Callable[[int], object]) -> None:
    """The longest text that this version takes, of some."""
    for size in (6000, 5000, 500, 250):
        with contextlib.suppress(MlflowException):
            log(size)
            return
    raise AssertionError("no size is accepted")


def log_metric(client: Any, run: str, key: str, value: float, step: int) -> None:
    if "step" in inspect.signature(client.log_metric).parameters:
        client.log_metric(run, key, value, timestamp=NOON + step, step=step)
    else:
        client.log_metric(run, key, value, timestamp=NOON + step)


def log_batch(client: Any, run: str) -> None:
    step = () if VERSION < (1, 0) else (7,)  # type: tuple[int, ...]
    points = [Metric("repeated", value, NOON + i % 2, *step) for i, value in enumerate([3.0, 1.0, 2.0])]
    client.log_batch(run, metrics=points, params=[Param("batch", "1")], tags=[RunTag("batch", "1")])


def log_datasets(client: Any, run: str, other: str) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    data = Dataset("digits ü", "d1", "local", '{"uri": "x"}', schema='{"a": 1}', profile='{"n": 5}')
    bare = Dataset("bare", "d2", "local", "{}")
    context = InputTag("mlflow.data.context", "training")
    client.log_inputs(run, [DatasetInput(data, [context, InputTag("fold", "3")]), DatasetInput(bare, [])])
    client.log_inputs(other, [DatasetInput(data, [context])])


def log_models(client: Any, experiment: str, run: str) -> list[str]:
    from mlflow.entities import LoggedModelInput, LoggedModelOutput

    made = []
    for name in ("net", "second", "failed", "deleted"):
        model = client.create_logged_model(
            experiment, name=name, source_run_id=run, model_type="keras", tags={"t": "ü"}, params={"depth": "3"}
        )
        made.append(model.model_id)
    net, second, failed, deleted = made
    client.finalize_logged_model(net, "READY")
    client.finalize_logged_model(failed, "FAILED")
    client.delete_logged_model(deleted)
    Path("MLmodel").write_text("flavors: {}\n")
    client.log_model_artifact(net, "MLmodel")
    Path("MLmodel").unlink()
    client.log_metric(run, "accuracy", 0.75, timestamp=NOON, step=2, model_id=net)
    client.log_metric(
        run, "accuracy", 0.5, timestamp=NOON, step=3, model_id=net, dataset_name="digits", dataset_digest="d1"
    )
    client.log_outputs(run, [LoggedModelOutput(net, 2), LoggedModelOutput(second, 0)])
    consumer = make_run(client, experiment, "uses a model")
    client.log_inputs(consumer, models=[LoggedModelInput(net)])
    return made


def log_traces(experiment: str, run: str) -> None:
    mlflow.set_tracking_uri((Path.cwd() / "mlruns").as_uri())
    mlflow.set_experiment(experiment_id=experiment)
    with mlflow.start_run(run_id=run), mlflow.start_span("ask ☀", span_type="CHAIN") as span:
        span.set_inputs({"question": "how deep? ü"})
        with mlflow.start_span("think", span_type="LLM") as inner:
            inner.set_inputs({"depth": 3})
            usage = {"input_tokens": 5, "output_tokens": 7, "total_tokens": 12}
            inner.set_attribute("mlflow.chat.tokenUsage", usage)
        span.set_outputs({"answer": 3})
    flush_traces()
    trace = getattr(span, "trace_id", None) or span.request_id
    MlflowClient().set_trace_tag(trace, "colour", "röd\nzwei Zeilen")
    with contextlib.suppress(ValueError), mlflow.start_span("fails"):
        raise ValueError("no answer")
    flush_traces()
    if VERSION >= (3, 5):
        from mlflow.entities import AssessmentError, AssessmentSource

        human = AssessmentSource("HUMAN", "physicist")
        for name, value in (("good", True), ("score", 0.75), ("verdict", "yes"), ("why", {"a": [1, "ü"]})):
            mlflow.log_feedback(trace_id=trace, name=name, value=value, source=human, rationale="it is ü")
        mlflow.log_feedback(trace_id=trace, name="broken", error=AssessmentError("E1", "it broke"), metadata={"n": "1"})
        mlflow.log_expectation(trace_id=trace, name="answer", value=3)
        mlflow.log_expectation(trace_id=trace, name="list", value=["a", 1])
        with mlflow.start_span("of a session"):
            mlflow.update_current_trace(
                tags={"kind": "x"}, metadata={"mlflow.trace.session": "s-1", "mlflow.trace.user": "u"}
            )
        flush_traces()


def flush_traces() -> None:
    with contextlib.suppress(Exception):  # where they are not logged in the background, some releases say so
        mlflow.flush_trace_async_logging()


def register_models(client: Any, run: str, models: list[str]) -> None:
    client.create_registered_model("net größe", {"team": "hpo", "nested/tag": "ü"}, "what it is for ☀")
    source = client.get_run(run).info.artifact_uri + "/plots"
    client.create_model_version("net größe", source, run, {"stage": "try"}, description="first")
    client.create_model_version("net größe", "s3://bucket/elsewhere", description="foreign")
    if models:
        client.create_model_version("net größe", "models:/" + models[0], run, model_id=models[0])
    last = client.create_model_version("net größe", source)
    client.create_registered_model("empty one")
    client.delete_model_version("net größe", last.version)
    client.transition_model_version_stage("net größe", "1", "Production")
    if VERSION >= (2, 3):
        client.set_registered_model_alias("net größe", "champion", "1")
    if VERSION >= (3, 0):
        client.register_prompt("greeting", "Hello {{ name }}", "a prompt", {"kind": "test"})
        client.register_prompt("greeting", "Hi {{ name }}")


main(sys.argv[1])
