"""Makes runs as a physicist's own code would, and around them all else that MLflow keeps; runs where MLflow has all of
its dependencies, so it may import nothing of ours but data.

    -m support.rich_runs filestore <URI>                 what grid jobs leave: runs in a FileStore
    -m support.rich_runs enrich <database URI> <folder>  what later releases, or a user's own code, would add
"""

import json
import sys
import warnings
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric
from mlflow.entities.issue import IssueStatus
from mlflow.tracing.attachments import Attachment
from mlflow.tracking._tracking_service.utils import _get_store

from support.rich_files import FILES, HOSTILE

NOON = 1_795_000_000_000


def fill_filestore(uri: str) -> None:
    """Twelve runs, the first with everything, one failed, one deleted, one nested in another; what one traced, and the
    models that it registered.
    """
    client = MlflowClient(uri)
    experiment = client.create_experiment("hpo", tags={"mlflow.note.content": "**grüße**"})
    for number in range(12):
        tags = {"colour": "red" if number % 2 else "blue", "mlflow.user": "pilot"}
        if number == 5:
            tags["mlflow.parentRunId"] = client.search_runs([experiment])[0].info.run_id
        run = client.create_run(experiment, NOON + number * 1000, tags, f"point {number}").info.run_id
        client.log_param(run, "model/depth", number % 4)
        client.log_param(run, "model/act fn", "relu" if number % 3 else "tanh ☀")
        client.log_param(run, "lr", 0.1 / (number + 1))
        for step in range(20):
            points = {"loss": 1 / (step + 1) + number, "val/acc": step / (20 + number), "grad": float("nan")}
            client.log_batch(run, [Metric(key, value, NOON + step, step) for key, value in points.items()])
        client.log_metric(run, "final", number, NOON, 0)
        # Each run of the comparison's page has some: MLflow's page stumbles when the one without is told of last.
        for path, content in FILES.items() if number < 3 else ():
            folder, _, name = path.rpartition("/")
            Path(name).write_bytes(content)
            client.log_artifact(run, name, folder or None)
        client.set_terminated(run, "FAILED" if number == 3 else "FINISHED", NOON + 60_000)
        if number == 4:
            client.delete_run(run)
    _trace_a_job(client, experiment, uri)


def _trace_a_job(client: MlflowClient, experiment: str, uri: str) -> None:
    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment(experiment_id=experiment)
    run = next(one for one in client.search_runs([experiment]) if one.info.run_name == "point 1")
    with mlflow.start_run(run_id=run.info.run_id), mlflow.start_span("tune", span_type="CHAIN") as span:
        span.set_inputs({"depth": 3})
        with mlflow.start_span("train", span_type="TOOL") as inner:
            picture = Attachment(content_type="image/png", content_bytes=FILES["plots/loss.png"])
            inner.set_outputs({"loss": 0.5, "plot": picture})
        mlflow.update_current_trace(tags={"colour": "blue"}, metadata={"mlflow.trace.session": "night"})
    mlflow.flush_trace_async_logging()
    mlflow.log_feedback(trace_id=span.trace_id, name="converged", value=True, rationale="it went flat")
    client.set_terminated(run.info.run_id, end_time=NOON + 60_000)
    client.create_registered_model("job net", {"team": "grid"}, "what the job made")
    client.create_model_version("job net", f"{run.info.artifact_uri}/plots", run.info.run_id, {"stage": "try"})
    client.log_text(run.info.run_id, "flavors: {}\n", "model/MLmodel")
    client.create_model_version("job net", f"{run.info.artifact_uri}/model")
    client.set_registered_model_alias("job net", "champion", "2")
    client.register_prompt("job-prompt", "How deep is {{ net }}?")


def enrich(uri: str, folder: Path) -> None:
    """Datasets, a logged model, registered models, traces and what hangs on them; prints the ids that were given."""
    warnings.simplefilter("ignore")
    mlflow.set_tracking_uri(uri)
    client = MlflowClient(uri)
    experiment = next(one for one in client.search_experiments() if one.name.startswith("task "))
    run = next(one for one in client.search_runs([experiment.experiment_id]) if one.info.run_name == "point 0")
    ids = {"experiment_id": experiment.experiment_id, "run_id": run.info.run_id}
    ids |= _add_models(client, experiment.experiment_id, run.info.run_id, folder)
    ids |= _add_traces(client, experiment.experiment_id)
    ids |= _add_reviews(experiment.experiment_id, ids["trace_id"], run.info.run_id)
    print(json.dumps(ids))


class _Doubles(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    def predict(self, model_input: list[str]) -> list[str]:
        return model_input * 2


def _add_models(client: MlflowClient, experiment_id: str, run_id: str, folder: Path) -> dict[str, str]:
    import numpy as np  # type: ignore[import-not-found]

    with mlflow.start_run(run_id=run_id):
        mlflow.log_input(mlflow.data.from_numpy(np.arange(6), name="calibration"), "training", {"kind": "numbers"})
        model = mlflow.pyfunc.log_model(
            name="net", python_model=_Doubles(), input_example=["a"], pip_requirements=[], params={"depth": 3}
        )
        mlflow.log_metric("score", 0.75, step=1, model_id=model.model_id)
        client.set_logged_model_tags(model.model_id, {"kept": "yes"})
        old = folder / "old" / "model.txt"
        old.parent.mkdir()
        old.write_text("a model by path")
        (old.parent / "hostile.html").write_bytes(HOSTILE)
    client.set_terminated(run_id, end_time=NOON + 60_000)
    client.create_registered_model("net", {"team": "hpo"}, "what the task is for")
    source = client.get_logged_model(model.model_id).artifact_location
    client.create_model_version("net", source, run_id, {"stage": "try"}, description="first", model_id=model.model_id)
    client.create_model_version("net", old.parent.as_uri(), description="second")
    client.set_registered_model_alias("net", "champion", "1")
    client.create_registered_model("empty one")
    return {"model_id": model.model_id}


def _add_traces(client: MlflowClient, experiment_id: str) -> dict[str, str]:
    mlflow.set_experiment(experiment_id=experiment_id)
    with mlflow.start_span("ask", span_type="CHAIN") as span:
        span.set_inputs({"question": "how deep?"})
        span.set_outputs({"answer": 3})
    mlflow.flush_trace_async_logging()
    trace = span.trace_id
    assessment = mlflow.log_feedback(trace_id=trace, name="good", value=True, rationale="it is")
    dataset = client.create_dataset("questions", experiment_id=[experiment_id], tags={"of": "hpo"})
    dataset.merge_records([{"inputs": {"question": "how deep?"}, "expectations": {"answer": "3"}}])
    return {"trace_id": trace, "assessment_id": assessment.assessment_id, "dataset_id": dataset.dataset_id}


def _add_reviews(experiment_id: str, trace_id: str, run_id: str) -> dict[str, str]:
    from mlflow.genai.label_schemas import InputText

    store = _get_store()
    issue = store.create_issue(experiment_id, "too deep", "It is.", IssueStatus.PENDING, source_run_id=run_id)
    schema = store.create_label_schema(experiment_id, name="fits", type="feedback", input=InputText())
    queue = store.create_review_queue(experiment_id, name="look", queue_type="custom", schema_ids=[schema.schema_id])
    store.add_items_to_review_queue(queue.queue_id, item_ids=[trace_id])
    scorer = store.register_scorer(experiment_id, "exact", json.dumps({"name": "exact"}))
    return {
        "issue_id": issue.issue_id,
        "schema_id": schema.schema_id,
        "queue_id": queue.queue_id,
        "scorer_id": scorer.scorer_id,
    }


if __name__ == "__main__":
    if sys.argv[1] == "filestore":
        fill_filestore(sys.argv[2])
    else:
        enrich(sys.argv[2], Path(sys.argv[3]))
