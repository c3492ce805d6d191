"""One process that ingests a folder of tarballs, and then again for each tarball of another as it comes into the first.

usage: python -m bench.ingest_once <jeditaskid> <tarballs> <snapshot store> [<later tarballs>]

Prints JSON, seconds and 10^6 bytes. Its memory is measured, so it imports nothing of the tests.
"""

import json
import shutil
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from mlflow_on_demand.empty_database import empty_database
from mlflow_on_demand.ingest import IngestRequest, ingest_task
from mlflow_on_demand.snapshot import Objective


def main(task: str, tarballs: str, store: str, later: str = "") -> None:
    empty_database()  # once a process, whatever the task
    request = IngestRequest(
        int(task), (Path(tarballs).as_uri(),), Path(store).as_uri(), Objective("metric 0", "minimize")
    )
    spent, worked = measure(partial(ingest_task, request))
    told: dict[str, Any] = {"seconds": spent, "cpu": worked, "megabytes": peak(), "later": []}
    for path in sorted(Path(later).iterdir()) if later else ():
        shutil.copy(path, tarballs)
        told["later"] += [measure(partial(ingest_task, request))[1]]
    print(json.dumps(told))


def measure(action: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the clock, and seconds of this process on a core."""
    started, worked = time.perf_counter(), time.process_time()
    action()
    return time.perf_counter() - started, time.process_time() - worked


def peak() -> float:
    """The most memory that this process has held at once, in 10^6 bytes (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024 / 1e6


if __name__ == "__main__":
    main(*sys.argv[1:])
