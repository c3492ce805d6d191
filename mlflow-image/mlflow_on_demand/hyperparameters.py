"""Which parameters a task varied: the columns of its table of runs, and the axes that stand against its objective.

Jobs log more than what is searched: a seed's file, a path, a constant. What is the same in every run is left out, and
no axis is made of what MLflow's chart (3.17) could only draw by leaving runs out: it drops those that lack a value, or
have a text among numbers, and, where there are more texts than it can place, all but a few.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from mlflow_on_demand.database import SnapshotDatabase
from mlflow_on_demand.snapshot import Objective

MAX_VARIED = 30
MAX_AXES = 12
_MAX_TEXTS = 30
# One axis is not worth more than a tenth of the runs.
_DRAWN = 0.9

_PARAMS = "(SELECT *, value GLOB '*[^0-9.eE+-]*' AS is_text FROM params) AS params JOIN runs USING (run_uuid)"
_USES = f"""
SELECT params.key, min(params.value), max(params.value),
       count(scored.run_uuid) FILTER (WHERE NOT is_text), count(scored.run_uuid) FILTER (WHERE is_text)
FROM {_PARAMS}
LEFT JOIN latest_metrics AS scored
  ON scored.run_uuid = params.run_uuid AND scored.key = ? AND NOT scored.is_nan
WHERE experiment_id = ? AND lifecycle_stage = 'active'
GROUP BY params.key ORDER BY params.key
"""  # noqa: S608 (no value is put in)
_TEXTS = f"""
SELECT DISTINCT params.value FROM {_PARAMS}
WHERE is_text AND params.key = ? AND experiment_id = ? AND lifecycle_stage = 'active'
ORDER BY params.value LIMIT {_MAX_TEXTS + 1}
"""  # noqa: S608
_SCORED = """
SELECT count(*) FROM runs JOIN latest_metrics USING (run_uuid)
WHERE key = ? AND NOT is_nan AND experiment_id = ? AND lifecycle_stage = 'active'
"""


@dataclass(frozen=True)
class Use:
    """How the active runs of an experiment use a parameter: in how many of those that have the objective it is a
    number, or a text; and fingerprints of some of its values: two if there are two, and of one text more than fit.
    """

    name: str
    numbers: int
    texts: int
    values: tuple[str, ...]
    different_texts: tuple[str, ...]


@dataclass(frozen=True)
class Uses:
    """How many active runs of an experiment have the objective, and the uses of its parameters, sorted by name. Those
    of some runs and those of others can be joined.
    """

    scored: int
    parameters: tuple[Use, ...]


NO_USES = Uses(0, ())


@dataclass(frozen=True)
class Hyperparameters:
    """Names of parameters, sorted: those that differ between runs (all, while none does), and those among these that
    make an axis.
    """

    varied: tuple[str, ...]
    axes: tuple[str, ...]


def find_uses(database: SnapshotDatabase, experiment_id: int, objective: Objective | None) -> Uses:
    """What the active runs of an experiment tell."""
    metric = objective.metric if objective else ""
    ((scored,),) = database.query(_SCORED, metric, experiment_id)
    found = []
    for name, least, most, numbers, texts in database.query(_USES, metric, experiment_id):
        different = database.query(_TEXTS, name, experiment_id) if _whole(texts) else []
        values, words = _fingerprints((least, most)), _fingerprints(text for (text,) in different)
        found.append(Use(str(name), _whole(numbers), _whole(texts), values, words))
    return Uses(_whole(scored), tuple(found))


def join_uses(some: Uses, others: Uses) -> Uses:
    """Those of all runs."""
    uses = {use.name: use for use in some.parameters}
    for use in others.parameters:
        uses[use.name] = _join(uses[use.name], use) if use.name in uses else use
    return Uses(some.scored + others.scored, tuple(uses[name] for name in sorted(uses)))


def choose_hyperparameters(uses: Uses) -> Hyperparameters:
    """What is worth a column, and an axis; without an objective there are no axes."""
    varied = [use for use in uses.parameters if len(use.values) > 1]
    axes = [
        use.name
        for use in varied
        if 0 < _DRAWN * uses.scored <= max(use.numbers, use.texts) and len(use.different_texts) <= _MAX_TEXTS
    ]
    columns = [use.name for use in varied or uses.parameters]
    return Hyperparameters(tuple(columns[:MAX_VARIED]), tuple(axes[:MAX_AXES]))


def _join(one: Use, other: Use) -> Use:
    values = sorted({*one.values, *other.values})[:2]
    texts = sorted({*one.different_texts, *other.different_texts})[: _MAX_TEXTS + 1]
    return Use(one.name, one.numbers + other.numbers, one.texts + other.texts, tuple(values), tuple(texts))


def _fingerprints(values: Iterable[object]) -> tuple[str, ...]:
    # A value may have thousands of characters.
    return tuple(sorted({hashlib.sha256(str(value).encode()).hexdigest()[:16] for value in values}))


def _whole(value: object) -> int:
    return int(str(value))
