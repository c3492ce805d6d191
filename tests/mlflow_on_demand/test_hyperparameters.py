"""Which parameters of a task are columns, and which are axes: found by ingest among those that its jobs logged."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from mlflow_on_demand.hyperparameters import MAX_AXES, MAX_VARIED
from mlflow_on_demand.ingest import IngestRequest, ingest_task
from mlflow_on_demand.snapshot import Experiment, Objective
from support.hpo_files import NOON, TASK, Point, name, run_id, tarball, write_task

LOSS = Objective("loss", "minimize")
RUNS = 40


def ingest(folder: Path, points: Iterable[Point], objective: Objective | None = LOSS) -> Experiment:
    artifacts = write_task(folder / "tarballs", {name(1): tarball(*points)})
    store = (folder / "store").as_uri()
    (experiment,) = ingest_task(IngestRequest(TASK, (artifacts,), store, objective)).manifest.experiments
    return experiment


def searched(count: int = RUNS) -> list[dict[str, str]]:
    """The parameters of so many runs, by what they are."""
    return [
        {
            "a number": f"{number}e-3",
            "a few texts": ("adam", "sgd")[number % 2],
            "constant": "7",
            "too many texts": f"/tmp/job{number}",
            "mostly a number": "None" if number < 4 else f"{number}",
            "often no number": "None" if number < 5 else f"{number}",
            **({"mostly there": f"{number}"} if number >= 4 else {}),
            **({"often absent": f"{number}"} if number >= 5 else {}),
        }
        for number in range(count)
    ]


def test_what_varies_is_a_column_and_what_can_be_drawn_an_axis(tmp_path: Path) -> None:
    points = [Point(run_id(number), params=params) for number, params in enumerate(searched())]
    experiment = ingest(tmp_path, points)
    assert experiment.axes == ("a few texts", "a number", "mostly a number", "mostly there")
    assert experiment.hyperparameters == (
        "a few texts",
        "a number",
        "mostly a number",
        "mostly there",
        "often absent",
        "often no number",
        "too many texts",
    )


def test_runs_that_cannot_be_drawn_anyway_cost_no_axis(tmp_path: Path) -> None:
    """Those that failed before they had a value, or whose value is none; deleted ones do not count at all."""
    points = [Point(run_id(number), params={"lr": str(number)}) for number in range(4)]
    points += [Point(run_id(number), params={}, metrics={}) for number in range(4, 8)]
    points += [Point(run_id(number), params={}, metrics={"loss": f"{NOON} nan 0\n"}) for number in range(8, 12)]
    deleted = [Point(run_id(number), lifecycle="deleted", params={"x": str(number)}) for number in range(12, 16)]
    experiment = ingest(tmp_path, [*points, *deleted])
    assert (experiment.runs, experiment.hyperparameters, experiment.axes) == (12, ("lr",), ("lr",))


@pytest.mark.parametrize("objective", [None, Objective("another", "maximize")])
def test_without_values_of_the_objective_there_are_no_axes(tmp_path: Path, objective: Objective | None) -> None:
    points = [Point(run_id(number), params={"lr": str(number)}) for number in range(3)]
    experiment = ingest(tmp_path, points, objective)
    assert (experiment.hyperparameters, experiment.axes) == (("lr",), ())


def test_a_single_run_shows_all_it_has(tmp_path: Path) -> None:
    experiment = ingest(tmp_path, [Point(run_id(1), params={"lr": "1", "depth": "3"})])
    assert (experiment.hyperparameters, experiment.axes) == (("depth", "lr"), ())


def test_there_are_no_more_than_can_be_read(tmp_path: Path) -> None:
    points = [Point(run_id(run), params={f"p{number:02}": str(run) for number in range(50)}) for run in range(2)]
    experiment = ingest(tmp_path, points)
    assert experiment.hyperparameters == tuple(f"p{number:02}" for number in range(MAX_VARIED))
    assert experiment.axes == tuple(f"p{number:02}" for number in range(MAX_AXES))
