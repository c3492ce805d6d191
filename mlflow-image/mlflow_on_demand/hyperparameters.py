"""Which parameters a task varied: the columns of its table of runs, and the axes that stand against its objective.

Jobs log more than what is searched: a seed's file, a path, a constant. What is the same in every run is left out, and
no axis is made of what MLflow's chart (3.17) could only draw by leaving runs out: it drops those that lack a value, or
have a text among numbers, and, where there are more texts than it can place, all but a few.
"""

from dataclasses import dataclass

from mlflow_on_demand.database import SnapshotDatabase
from mlflow_on_demand.snapshot import Objective

MAX_VARIED = 30
MAX_AXES = 12
_MAX_TEXTS = 30
# One axis is not worth more than a tenth of the runs.
_DRAWN = 0.9

_USES = """
SELECT params.key, count(DISTINCT params.value),
       count(scored.run_uuid) FILTER (WHERE NOT is_text), count(scored.run_uuid) FILTER (WHERE is_text),
       count(DISTINCT params.value) FILTER (WHERE is_text)
FROM (SELECT *, value GLOB '*[^0-9.eE+-]*' AS is_text FROM params) AS params
JOIN runs USING (run_uuid)
LEFT JOIN latest_metrics AS scored
  ON scored.run_uuid = params.run_uuid AND scored.key = ? AND NOT scored.is_nan
WHERE experiment_id = ? AND lifecycle_stage = 'active'
GROUP BY params.key ORDER BY params.key
"""
_SCORED = """
SELECT count(*) FROM runs JOIN latest_metrics USING (run_uuid)
WHERE key = ? AND NOT is_nan AND experiment_id = ? AND lifecycle_stage = 'active'
"""


@dataclass(frozen=True)
class Hyperparameters:
    """Names of parameters, sorted: those that differ between runs (all, while none does), and those among these that
    make an axis.
    """

    varied: tuple[str, ...]
    axes: tuple[str, ...]


def find_hyperparameters(
    database: SnapshotDatabase, experiment_id: int, objective: Objective | None
) -> Hyperparameters:
    """What the active runs of an experiment tell; without an objective there are no axes."""
    metric = objective.metric if objective else ""
    ((scored,),) = database.query(_SCORED, metric, experiment_id)
    uses = database.query(_USES, metric, experiment_id)
    varied, axes = [], []
    for name, values, numbers, texts, different_texts in uses:
        if _whole(values) < 2:
            continue
        varied.append(str(name))
        drawn = max(_whole(numbers), _whole(texts))
        if 0 < _DRAWN * _whole(scored) <= drawn and _whole(different_texts) <= _MAX_TEXTS:
            axes.append(str(name))
    columns = varied or [str(name) for name, *_ in uses]
    return Hyperparameters(tuple(columns[:MAX_VARIED]), tuple(axes[:MAX_AXES]))


def _whole(value: object) -> int:
    return int(str(value))
