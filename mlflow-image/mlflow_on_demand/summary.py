"""What a page can show of a task while its server sleeps: counts, experiments, and the best runs so far.

"Best" looks at each run's last value of the objective's metric, as MLflow's own sort does, so the first run of the
summary is the first row of the landing view.
"""

import math
from dataclasses import dataclass

from mlflow_on_demand.database import SnapshotDatabase
from mlflow_on_demand.fields import to_integer
from mlflow_on_demand.snapshot import BestRun, Experiment, Lost, Manifest, Objective

BEST_RUNS = 10
LOSSES = 20


@dataclass(frozen=True)
class Summary:
    """The snapshot's `summary.json`; fields as in the manifest, `best` in order, at most BEST_RUNS; `lost` and
    `missing` are counts, `losses` the first of what was lost and why, at most LOSSES.
    """

    jeditaskid: int
    mlflow_version: str
    runs: int
    points: int
    metric_points: int
    lost: int
    losses: tuple[Lost, ...]
    missing: int
    experiments: tuple[Experiment, ...]
    objective: Objective | None
    best: tuple[BestRun, ...]


@dataclass(frozen=True)
class Candidate:
    """A run that may be among the best, and when it started: of equal ones the later start is first."""

    run: BestRun
    start_time: int | None


def find_best(database: SnapshotDatabase, objective: Objective | None) -> tuple[Candidate, ...]:
    """The best active runs, best first; without an objective there are none. NaN is never best."""
    if objective is None:
        return ()
    rows = database.query(
        "SELECT run_uuid, coalesce(name, ''), experiment_id, value, start_time FROM latest_metrics"
        " JOIN runs USING (run_uuid) WHERE key = ? AND NOT is_nan AND lifecycle_stage = 'active'"
        " ORDER BY value * ?, start_time DESC, run_uuid LIMIT ?",
        objective.metric,
        1 if objective.direction == "minimize" else -1,
        BEST_RUNS,
    )
    return tuple(
        Candidate(BestRun(str(run_id), str(name), str(experiment_id), float(str(value))), to_integer(start_time))
        for run_id, name, experiment_id, value, start_time in rows
    )


def join_best(objective: Objective | None, *found: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    """The best of the best of several parts of a task, in the order of `find_best`."""
    sign = 1 if objective is not None and objective.direction == "minimize" else -1

    def order(one: Candidate) -> tuple[float, float, str]:
        return one.run.value * sign, -one.start_time if one.start_time is not None else math.inf, one.run.run_id

    return tuple(sorted((one for part in found for one in part), key=order)[:BEST_RUNS])


def make_summary(manifest: Manifest, best: tuple[Candidate, ...]) -> Summary:
    """The summary that belongs to a manifest."""
    return Summary(
        jeditaskid=manifest.jeditaskid,
        mlflow_version=manifest.mlflow_version,
        runs=manifest.runs,
        points=manifest.points,
        metric_points=manifest.metric_points,
        lost=len(manifest.lost),
        losses=manifest.lost[:LOSSES],
        missing=len(manifest.missing_serials),
        experiments=manifest.experiments,
        objective=manifest.objective,
        best=tuple(one.run for one in best),
    )
