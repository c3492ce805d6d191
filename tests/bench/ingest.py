"""Ingest beside `mlflow migrate-filestore` over the same runs, and how it grows: each in a process of its own."""

import json
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.bulk import METRICS, RUNS, STEPS, write_tarballs
from bench.figures import Figure
from support.hpo_files import TASK

MANY = 10_000
LATER = 5
MIGRATION = "`mlflow migrate-filestore`"


def measure_ingest(mlflow: Path, folder: Path, samples: int) -> Iterator[Figure]:
    """Takes some three minutes, half of them for the ten thousand runs."""
    write_tarballs(folder / "few", range(1, RUNS + 1))
    write_tarballs(folder / "later", range(RUNS + 1, RUNS + LATER + 1))
    write_tarballs(folder / "many", range(1, MANY + 1))
    for path in (folder / "few").iterdir():
        with tarfile.open(path) as archive:
            archive.extractall(folder / "filestore", filter="data")
    ours, theirs = [], []
    for number in range(samples):
        later = [str(folder / "later")] if number == samples - 1 else []
        ours.append(ingest(str(folder / "few"), str(folder / f"store-{number}"), *later))
        theirs.append(migrate(mlflow, folder / "filestore", folder / f"migrated-{number}.db"))
    many = ingest(str(folder / "many"), str(folder / "store-many"))
    full, work, memory = ([one[key] for one in ours] for key in ("seconds", "cpu", "megabytes"))
    what = f"ingest of {RUNS} runs, {RUNS * METRICS * STEPS:,} points"
    yield Figure(what, "s", full, MIGRATION, tuple(spent for spent, _ in theirs))
    yield Figure(f"memory of the {what}", "MB", memory, MIGRATION, tuple(held for _, held in theirs))
    # Of ours beside ours, the work is compared: the clock also counts what else the machine does.
    yield Figure(f"ingest of one more tarball beside {RUNS}", "CPU s", ours[-1]["later"], f"all {RUNS}", tuple(work))
    what = f"ingest of {MANY:,} runs, {MANY * METRICS * STEPS:,} points"
    times = MANY // RUNS
    yield Figure(what, "CPU s", [many["cpu"]], f"{times} times that of {RUNS}", tuple(times * one for one in work))
    yield Figure(f"memory of the {what}", "MB", [many["megabytes"]], f"that of {RUNS}", tuple(memory))


def ingest(*arguments: str) -> dict[str, Any]:
    """What `bench.ingest_once` tells."""
    command = [sys.executable, "-m", "bench.ingest_once", str(TASK), *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def migrate(mlflow: Path, filestore: Path, database: Path) -> tuple[float, float]:
    """Seconds from its start to its end, and the most memory that it held, in 10^6 bytes."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [str(mlflow), "migrate-filestore", "--source", str(filestore), "--target", f"sqlite:///{database}"],
        env={**os.environ, "MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_DISABLE_TELEMETRY": "true"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, "the migration failed"
    return time.perf_counter() - started, usage.ru_maxrss * 1024 / 1e6
