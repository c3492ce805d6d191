# /// script
# requires-python = ">=3.11,<3.14"
# dependencies = [
#   "matplotlib==3.11.2",
#   "mlflow==3.17.2",
#   "numpy==2.4.6",
#   "optuna==5.0.0",
#   "scikit-learn==1.9.1",
# ]
# ///
"""Make the sample task: a small but real hyper-parameter optimisation, left behind the way a PanDA task leaves it.

A page of invented curves hides what real ones show (runs that stall, over-fit or stop early, parameters that matter and
parameters that do not), so this script runs the loop of a PanDA HPO task on one machine. `steer` plays iDDS: Optuna's
TPE sampler proposes a generation of points a segment, waits for their losses, proposes the next. `run_job` plays the
worker node: an empty work directory with the user's script and the point in `input.json`. `evaluate` is the user's
script: it trains a network on a part of scikit-learn's digits and logs to MLflow's file store in `mlruns`.

Seeds are fixed, so metrics and parameters come out the same each time; run ids, run names and times do not.

File names follow PanDA, read in its sources:

- the pattern: panda-client `pandaclient/PhpoScript.py`, `$JEDITASKID.metrics.${SN}.tgz`, after `${MIDDLENAME}.` when
  the task is segmented; every segment searches its own copy of one search space;
- the serial: panda-server `pandaserver/taskbuffer/db_proxy_mods/task_complex_module.py`, `getOutputFiles_JEDI` turns
  `${SN}` into six digits with leading zeros; `pandajedi/jedirefine/TaskRefinerBase.py` starts it at 1; one counter
  serves the whole task, so the serials of the segments interleave;
- the segment: panda-server `pandajedi/jediorder/JobGenerator.py` makes the middle name of the segment's name.

One thing is plainer than on the grid: PanDA's transformation `runHPO` packs the file or folder that
`--evaluationMetrics` names, after renaming it to `<name>_<sample id>`; here `mlruns` keeps its name.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

JEDITASKID = 30456789
SEGMENTS = {"digits_0_4": (0, 1, 2, 3, 4), "digits_5_9": (5, 6, 7, 8, 9)}
GENERATIONS, POINTS_PER_GENERATION = 4, 6
LOST_SERIALS = frozenset({29})
WORK_DIRECTORY = "/srv/workDir"
GRID_ACCOUNT = "atlaspil"
MAX_EPOCHS, MIN_EPOCHS, PATIENCE = 30, 20, 6
NOISE = 0.4  # of a pixel whose full ink is 1: without it every network gets every digit right


class Epoch(NamedTuple):
    """What a pass over the training data led to."""

    metrics: dict[str, float]
    predicted: Any
    truth: Any


def propose(trial: Any) -> dict[str, Any]:
    """One point of the search space: what a task's `--searchSpaceFile` would say."""
    return {
        "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True),
        "weight_decay": trial.suggest_float("weight_decay", 1e-6, 1e-1, log=True),
        "momentum": trial.suggest_float("momentum", 0.5, 0.99),
        "hidden_units": trial.suggest_int("hidden_units", 12, 96, log=True),
        "hidden_layers": trial.suggest_int("hidden_layers", 1, 3),
        "batch_size": trial.suggest_categorical("batch_size", [16, 32, 64, 128]),
        "activation": trial.suggest_categorical("activation", ["relu", "tanh", "logistic"]),
        "optimizer": trial.suggest_categorical("optimizer", ["adam", "sgd"]),
    }


def evaluate() -> None:
    """The user's script: train the point in `input.json`, log to `mlruns`, leave the loss in `output.json`."""
    import mlflow

    job = json.loads(Path("input.json").read_text())
    mlflow.set_tracking_uri(Path("mlruns").absolute().as_uri())
    mlflow.set_experiment("digits-mlp")
    with mlflow.start_run():
        mlflow.log_params(job["parameters"])
        epochs: list[Epoch] = []
        for epoch in train(job["parameters"], SEGMENTS[job["segment"]]):
            mlflow.log_metrics(epoch.metrics, step=len(epochs))
            epochs.append(epoch)
        log_artifacts([epoch.metrics for epoch in epochs], epochs[-1])
    Path("output.json").write_text(json.dumps({"status": 0, "loss": epochs[-1].metrics["val_loss"]}))


def train(parameters: dict[str, Any], digits: tuple[int, ...]) -> Iterator[Epoch]:
    """Yield epoch after epoch; stop once the validation loss no longer falls."""
    import numpy as np
    from sklearn.datasets import load_digits
    from sklearn.metrics import log_loss
    from sklearn.model_selection import train_test_split
    from sklearn.neural_network import MLPClassifier

    images, labels = load_digits(return_X_y=True)
    chosen = np.isin(labels, digits)
    noisy = images[chosen] / 16.0 + np.random.default_rng(1).normal(scale=NOISE, size=images[chosen].shape)
    x_train, x_val, y_train, y_val = train_test_split(
        noisy, labels[chosen], test_size=0.3, random_state=1, stratify=labels[chosen]
    )
    model = MLPClassifier(
        hidden_layer_sizes=(parameters["hidden_units"],) * parameters["hidden_layers"],
        activation=parameters["activation"],
        solver=parameters["optimizer"],
        learning_rate_init=parameters["learning_rate"],
        alpha=parameters["weight_decay"],
        batch_size=parameters["batch_size"],
        momentum=parameters["momentum"],
        beta_1=parameters["momentum"],
        random_state=1,
    )
    best, best_epoch = float("inf"), 0
    for epoch in range(MAX_EPOCHS):
        model.partial_fit(x_train, y_train, classes=list(digits))
        on_train, on_val = model.predict_proba(x_train), model.predict_proba(x_val)
        predicted = model.classes_[on_val.argmax(axis=1)]
        metrics = {
            "train_loss": log_loss(y_train, on_train, labels=digits),
            "train_accuracy": float(np.mean(model.classes_[on_train.argmax(axis=1)] == y_train)),
            "val_loss": log_loss(y_val, on_val, labels=digits),
            "val_accuracy": float(np.mean(predicted == y_val)),
            "weight_norm": float(np.sqrt(sum((layer**2).sum() for layer in model.coefs_))),
        }
        yield Epoch(metrics, predicted, y_val)
        if metrics["val_loss"] < best:
            best, best_epoch = metrics["val_loss"], epoch
        if epoch + 1 >= MIN_EPOCHS and epoch - best_epoch >= PATIENCE:
            return


def log_artifacts(history: list[dict[str, float]], last: Epoch) -> None:
    """Keep what a physicist would keep: scores of a model that learnt, pictures and a report of a good one."""
    import matplotlib as mpl
    import mlflow
    from sklearn.metrics import classification_report

    mpl.use("Agg")
    loss = last.metrics["val_loss"]
    if len(history) < MAX_EPOCHS:
        mlflow.log_text(f"Stopped after {len(history)} epochs: val_loss {loss:.4f}\n", "training.log")
    if last.metrics["val_accuracy"] < 0.8:
        return
    scores = classification_report(last.truth, last.predicted, output_dict=True, zero_division=0)
    mlflow.log_dict(scores, "scores/per_class.json")
    if loss > 0.4:
        return
    mlflow.log_figure(draw_learning_curve(history), "plots/learning_curve.png", save_kwargs={"dpi": 60})
    mlflow.log_figure(draw_confusion_matrix(last), "plots/confusion_matrix.png", save_kwargs={"dpi": 60})
    mlflow.log_text(make_report(history), "report.html")


def draw_learning_curve(history: list[dict[str, float]]) -> Any:
    """Loss against epoch, for training and validation."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4, 2.6), layout="constrained")
    axes = figure.subplots()
    for name in ("train_loss", "val_loss"):
        axes.plot([metrics[name] for metrics in history], label=name)
    axes.set(xlabel="epoch", ylabel="loss", yscale="log")
    axes.legend(frameon=False)
    return figure


def draw_confusion_matrix(last: Epoch) -> Any:
    """Which digit is taken for which."""
    from matplotlib.figure import Figure
    from sklearn.metrics import ConfusionMatrixDisplay

    figure = Figure(figsize=(3, 2.6), layout="constrained")
    ConfusionMatrixDisplay.from_predictions(
        last.truth, last.predicted, ax=figure.subplots(), colorbar=False, cmap="Blues"
    )
    return figure


def make_report(history: list[dict[str, float]]) -> str:
    """A page of its own: every epoch as a row of a table."""
    names = list(history[0])
    head = "".join(f"<th>{name}</th>" for name in ("epoch", *names))
    rows = "\n".join(
        f"<tr><td>{epoch}</td>" + "".join(f"<td>{metrics[name]:.4f}</td>" for name in names) + "</tr>"
        for epoch, metrics in enumerate(history)
    )
    return (
        '<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>Training report</title>\n'
        "<style>body{font:14px sans-serif}td{padding:0 1em;text-align:right}</style>\n"
        f"<h1>Training report</h1>\n<table>\n<tr>{head}</tr>\n{rows}\n</table></html>\n"
    )


def run_job(segment: str, parameters: dict[str, Any], tarball: Path | None) -> float:
    """Evaluate one point in an empty work directory, as a grid job does, and return its loss.

    A container mounts that directory at `/srv/workDir`, and MLflow writes where it stands into its metadata. Here the
    directory is a temporary one, so its address in the metadata is put right before the tarball is made.
    """
    with tempfile.TemporaryDirectory(prefix="hpo-") as name:
        work = Path(name).resolve()
        shutil.copy(__file__, work / "evaluate.py")
        (work / "input.json").write_text(json.dumps({"segment": segment, "parameters": parameters}))
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(work),
            "LOGNAME": GRID_ACCOUNT,
            "MLFLOW_ALLOW_FILE_STORE": "true",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "PYTHONWARNINGS": "ignore",
            "MLFLOW_LOGGING_LEVEL": "WARNING",
        }
        subprocess.run([sys.executable, "evaluate.py", "--evaluate"], cwd=work, env=environment, check=True)
        for meta in work.glob("mlruns/**/meta.yaml"):
            meta.write_text(meta.read_text().replace(work.as_uri(), f"file://{WORK_DIRECTORY}"))
        if tarball is not None:
            with tarfile.open(tarball, "w:gz") as archive:
                archive.add(work / "mlruns", "mlruns", filter=owned_by_grid_account)
        return float(json.loads((work / "output.json").read_text())["loss"])


def owned_by_grid_account(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Files come from the pilot's account, not from whoever made the sample."""
    member.uid = member.gid = 41000
    member.uname = member.gname = GRID_ACCOUNT
    return member


def steer(folder: Path, jobs: int) -> None:
    """Run the whole task: generation after generation, the segments by turns, one serial a job."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    studies = {
        segment: optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=8))
        for seed, segment in enumerate(SEGMENTS, start=JEDITASKID)
    }
    serial = 0
    with ThreadPoolExecutor(jobs) as nodes:
        for _ in range(GENERATIONS):
            for segment, study in studies.items():
                running = []
                for _ in range(POINTS_PER_GENERATION):
                    serial += 1
                    trial = study.ask()
                    tarball = folder / f"{segment}.{JEDITASKID}.metrics.{serial:06d}.tgz"
                    kept = None if serial in LOST_SERIALS else tarball
                    running.append((trial, tarball, nodes.submit(run_job, segment, propose(trial), kept)))
                for trial, tarball, job in running:
                    study.tell(trial, job.result())
                    sys.stderr.write(f"{tarball.name}  val_loss {job.result():.4f}\n")


def main() -> None:
    """Make every tarball anew, or evaluate the one point of this work directory."""
    parser = argparse.ArgumentParser(description="Make the metrics tarballs of the sample task.")
    parser.add_argument("--evaluate", action="store_true", help="be the user's script on the worker node")
    parser.add_argument("--jobs", type=int, default=2, help="points evaluated at once (%(default)s)")
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent / "tarballs", help="where tarballs go")
    arguments = parser.parse_args()
    if arguments.evaluate:
        evaluate()
        return
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for old in arguments.folder.glob("*.tgz"):
        old.unlink()
    steer(arguments.folder, arguments.jobs)


if __name__ == "__main__":
    main()
