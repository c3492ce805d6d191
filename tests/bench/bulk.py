"""A large task: runs of 10 parameters and 6 metrics with 50 steps each, one to a tarball."""

import random
from pathlib import Path

from mlflow_on_demand.snapshot import Objective
from support.hpo_files import NOON, Point, name, run_id, tarball, write_task

RUNS = 500
OBJECTIVE = Objective("metric0", "minimize")
_PARAMS, _METRICS, _STEPS = 10, 6, 50


def make_task(folder: Path, runs: int) -> str:
    """Its tarballs, the same at every call; the folder's URI."""
    chance = random.Random(runs)
    return write_task(folder, {name(number): tarball(_make_point(number, chance)) for number in range(runs)})


def _make_point(number: int, chance: random.Random) -> Point:
    params = {f"param{index}": f"{chance.random():.6f}" for index in range(_PARAMS)}
    metrics = {
        f"metric{index}": "".join(f"{NOON + step} {chance.random()} {step}\n" for step in range(_STEPS))
        for index in range(_METRICS)
    }
    return Point(run_id(number), f"point-{number}", start=NOON + number, params=params, metrics=metrics)
