"""A large task: runs of 10 parameters and 6 metrics with 50 steps each, one to a tarball."""

import random
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from mlflow_on_demand.snapshot import Objective
from support.hpo_files import NOON, Point, name, tarball

RUNS = 500
PARAMS, METRICS, STEPS = 10, 6, 50
POINT = "point-"
"""How the names of its runs begin."""
OBJECTIVE = Objective("metric 0", "minimize")


def write_tarballs(folder: Path, numbers: range) -> Path:
    """The tarballs with these serials, the same at each call, into a folder that may hold others."""
    folder.mkdir(exist_ok=True)
    with ProcessPoolExecutor() as pool:
        list(pool.map(partial(_write_tarball, folder), numbers, chunksize=50))
    return folder


def _write_tarball(folder: Path, number: int) -> None:
    chance = random.Random(number)
    lines = [
        [f"{NOON + number * 1000 + step} {chance.random()} {step}\n" for step in range(STEPS)] for _ in range(METRICS)
    ]
    point = Point(
        f"{chance.getrandbits(128):032x}",
        f"{POINT}{number}",
        params={f"param {one}": str(chance.random()) for one in range(PARAMS)},
        tags={"mlflow.user": "pilot"},
        metrics={f"metric {one}": "".join(points) for one, points in enumerate(lines)},
    )
    (folder / name(number)).write_bytes(tarball(point))
