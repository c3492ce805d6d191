"""What a page can show of a task while its server sleeps: counts, experiments, and the best runs so far.

"Best" looks at each run's last value of the objective's metric, as MLflow's own sort does, so the first run of the
summary is the first row of the landing view.
"""

from dataclasses import dataclass

from mlflow_on_demand.database import SnapshotDatabase
from mlflow_on_demand.snapshot import BestRun, Experiment, Manifest, Objective

BEST_RUNS = 10


@dataclass(frozen=True)
class Summary:
    """The snapshot's `summary.json`; fields as in the manifest, `best` in order, at most BEST_RUNS."""

    jeditaskid: int
    mlflow_version: str
    runs: int
    points: int
    metric_points: int
    lost: int
    missing: int
    experiments: tuple[Experiment, ...]
    objective: Objective | None
    best: tuple[BestRun, ...]


def find_best(database: SnapshotDatabase, objective: Objective | None) -> tuple[BestRun, ...]:
    """The best active runs, best first; without an objective there are none. NaN is never best."""
    if objective is None:
        return ()
    rows = database.query(
        "SELECT run_uuid, coalesce(name, ''), experiment_id, value FROM latest_metrics JOIN runs USING (run_uuid)"
        " WHERE key = ? AND NOT is_nan AND lifecycle_stage = 'active'"
        " ORDER BY value * ?, start_time DESC, run_uuid LIMIT ?",
        objective.metric,
        1 if objective.direction == "minimize" else -1,
        BEST_RUNS,
    )
    return tuple(
        BestRun(str(run_id), str(name), str(experiment_id), float(str(value)))
        for run_id, name, experiment_id, value in rows
    )


def make_summary(manifest: Manifest, best: tuple[BestRun, ...]) -> Summary:
    """The summary that belongs to a manifest."""
    return Summary(
        jeditaskid=manifest.jeditaskid,
        mlflow_version=manifest.mlflow_version,
        runs=manifest.runs,
        points=manifest.points,
        metric_points=manifest.metric_points,
        lost=len(manifest.lost),
        missing=len(manifest.missing_serials),
        experiments=manifest.experiments,
        objective=manifest.objective,
        best=best,
    )
