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
SELECT params.key, min(params.value), max(params.value),
       count(scored.run_uuid) FILTER (WHERE NOT is_text), count(scored.run_uuid) FILTER (WHERE is_text)
FROM (SELECT *, value GLOB '*[^0-9.eE+-]*' AS is_text FROM params) AS params
JOIN runs USING (run_uuid)
LEFT JOIN latest_metrics AS scored
  ON scored.run_uuid = params.run_uuid AND scored.key = ? AND NOT scored.is_nan
WHERE experiment_id = ? AND lifecycle_stage = 'active'
GROUP BY params.key ORDER BY params.key
"""
_TEXTS = """
SELECT DISTINCT value FROM params JOIN runs USING (run_uuid)
WHERE key = ? AND value GLOB '*[^0-9.eE+-]*' AND experiment_id = ? AND lifecycle_stage = 'active'
ORDER BY value LIMIT ?
"""
_SCORED = """
SELECT count(*) FROM runs JOIN latest_metrics USING (run_uuid)
WHERE key = ? AND NOT is_nan AND experiment_id = ? AND lifecycle_stage = 'active'
"""


@dataclass(frozen=True)
class Use:
    """How the runs of an experiment use a parameter: its least and its greatest value, in how many runs with a value of
    the objective it is a number or a text, and different texts (one more than an axis can place at most).
    """

    name: str
    least: str
    greatest: str
    numbers: int
    texts: int
    different_texts: tuple[str, ...]


@dataclass(frozen=True)
class Uses:
    """How many runs have a value of the objective, and what is known of each parameter, sorted by name."""

    scored: int = 0
    params: tuple[Use, ...] = ()


@dataclass(frozen=True)
class Hyperparameters:
    """Names of parameters, sorted: those that differ between runs (all, while none does), and those among these that
    make an axis.
    """

    varied: tuple[str, ...]
    axes: tuple[str, ...]


def find_uses(database: SnapshotDatabase, experiment_id: int, objective: Objective | None) -> Uses:
    """What the active runs of an experiment in this database tell."""
    metric = objective.metric if objective else ""
    ((scored,),) = database.query(_SCORED, metric, experiment_id)
    uses = []
    for name, least, greatest, numbers, texts in database.query(_USES, metric, experiment_id):
        found = database.query(_TEXTS, name, experiment_id, _MAX_TEXTS + 1)
        different = tuple(str(text) for (text,) in found)
        uses.append(Use(str(name), str(least), str(greatest), _whole(numbers), _whole(texts), different))
    return Uses(_whole(scored), tuple(uses))


def join_uses(one: Uses, other: Uses) -> Uses:
    """What the runs of both tell."""
    found = {use.name: use for use in one.params}
    for use in other.params:
        former = found.get(use.name)
        found[use.name] = _join(former, use) if former else use
    return Uses(one.scored + other.scored, tuple(found[name] for name in sorted(found)))


def _join(one: Use, other: Use) -> Use:
    return Use(
        name=one.name,
        least=min(one.least, other.least),
        greatest=max(one.greatest, other.greatest),
        numbers=one.numbers + other.numbers,
        texts=one.texts + other.texts,
        different_texts=tuple(sorted({*one.different_texts, *other.different_texts})[: _MAX_TEXTS + 1]),
    )


def find_hyperparameters(uses: Uses) -> Hyperparameters:
    """The columns and axes that these uses make; without an objective there are no axes."""
    varied = [use for use in uses.params if use.least != use.greatest]
    axes = [
        use.name
        for use in varied
        if 0 < _DRAWN * uses.scored <= max(use.numbers, use.texts) and len(use.different_texts) <= _MAX_TEXTS
    ]
    columns = [use.name for use in varied or uses.params]
    return Hyperparameters(tuple(columns[:MAX_VARIED]), tuple(axes[:MAX_AXES]))


def _whole(value: object) -> int:
    return int(str(value))
