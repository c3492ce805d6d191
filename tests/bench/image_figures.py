"""The measurements of `make bench-image`."""

import gzip
import json
import socket
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser

from bench.figures import Figure, megabytes, until_idle
from bench.painting import open_until_painted
from bench.rootfs import DATA, Rootfs
from bench.stock import until_answered
from mlflow_on_demand.landing import SEARCH_RUNS, plan_landing
from mlflow_on_demand.settings import ServerSettings
from mlflow_on_demand.snapshot import Manifest
from support.hpo_files import TASK

SEARCH_EXPERIMENTS = "/ajax-api/2.0/mlflow/experiments/search?max_results=25"
# 20 Mbit/s each way, and 30 ms
LINK = {"offline": False, "latency": 30, "downloadThroughput": 2.5e6, "uploadThroughput": 2.5e6}
STOCK = "/opt/stock/bin/mlflow"
# A cell of MLflow's table of runs links to its run by name; so does one of the table that our page shows before.
MLFLOWS_TABLE = '[role="gridcell"] a[href*="/runs/"]'
RUN_NAMES = f'#bigpanda-runs td a[href*="/runs/"], {MLFLOWS_TABLE}'


@dataclass
class Times:
    """What was seen of one contender, one entry a start, in seconds and megabytes."""

    page: list[float] = field(default_factory=list)
    landing: list[float] = field(default_factory=list)
    query: list[float] = field(default_factory=list)
    painted: list[float] = field(default_factory=list)
    painted_far: list[float] = field(default_factory=list)
    table: list[float] = field(default_factory=list)
    table_far: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)


class Bench:
    """Our image and stock's on this machine, and a browser; `data` holds the published snapshot."""

    def __init__(self, ours: Rootfs, stock: Rootfs, data: Path, manifest: Manifest, browser: Browser) -> None:
        self._ours, self._stock = ours, stock
        self._data, self._browser = data, browser
        [packed] = data.rglob("*.db.gz")
        self._database = gzip.decompress(packed.read_bytes())
        self._experiment = manifest.experiments[0]
        self._landing = plan_landing(self._experiment, manifest.objective)[-1]

    def figures(self, samples: int) -> Iterator[Figure]:
        """All of them, after all starts: one process at a time, each contender in turn."""
        ours, tuned, default = Times(), Times(), Times()
        for _ in range(samples):
            for seen, contender in ((ours, self._sleeper), (tuned, self._tuned), (default, self._default)):
                self._start(seen, contender)
            self._click_sleeping(ours)
            self._click_awake(tuned)
        for words, theirs in (("as installed", default), ("tuned: one worker, no jobs", tuned)):
            name = f"`mlflow server` {words}"
            yield Figure("start → first byte of the page", "s", ours.page, name, tuple(theirs.page))
            yield Figure("start → the landing view's `runs/search`", "s", ours.landing, name, tuple(theirs.landing))
            yield Figure("start → a query that nobody recorded", "s", ours.query, name, tuple(theirs.query))
            yield Figure("memory after a browser's visit (PSS)", "MB", ours.memory, name, tuple(theirs.memory))
        name = "`mlflow server` tuned, and *awake*"
        far = "the same, by a link of 20 Mbit/s and 30 ms"
        yield Figure("click → run names painted, ours asleep", "s", ours.painted, name, tuple(tuned.painted))
        yield Figure(far, "s", ours.painted_far, name, tuple(tuned.painted_far))
        yield Figure("click → MLflow's own table painted, ours asleep", "s", ours.table, name, tuple(tuned.table))
        yield Figure(far, "s", ours.table_far, name, tuple(tuned.table_far))
        sizes = self._ours.megabytes("/opt/bigpanda"), self._stock.megabytes("/opt/stock")
        yield Figure("installed environment", "MB", [sizes[0]], "`pip install mlflow`", (sizes[1],))

    def _start(self, seen: Times, contender: Any) -> None:
        """From the start of a process to its answers; a browser's visit at the end."""
        until_idle()
        started = time.perf_counter()
        with contender() as (process, address):
            until_answered(f"{address}/")
            seen.page.append(time.perf_counter() - started)
            found = until_answered(f"{address}{SEARCH_RUNS}", json.loads(self._landing.body)).json()
            assert len(found["runs"]) == 100
            seen.landing.append(time.perf_counter() - started)
            assert until_answered(f"{address}{SEARCH_EXPERIMENTS}").json()["experiments"]
            seen.query.append(time.perf_counter() - started)
            self._visit(address)
            seen.memory.append(megabytes(process))

    def _click_sleeping(self, seen: Times) -> None:
        for link in (None, LINK):
            until_idle()
            clicked = time.time()
            with self._sleeper() as (_, address):
                _until_listening(address)
                self._click(address, link, clicked, seen)

    def _click_awake(self, seen: Times) -> None:
        with self._tuned() as (_, address):
            until_answered(f"{address}{SEARCH_RUNS}", json.loads(self._landing.body))
            for link in (None, LINK):
                until_idle()
                self._click(address, link, time.time(), seen)

    def _click(self, address: str, link: dict[str, Any] | None, clicked: float, seen: Times) -> None:
        names, table = self._visit(address, link)
        (seen.painted_far if link else seen.painted).append(names - clicked)
        (seen.table_far if link else seen.table).append(table - clicked)

    def _visit(self, address: str, link: dict[str, Any] | None = None) -> list[float]:
        """When the names of the runs were painted, and MLflow's own table of them, in seconds since 1970, for who opens
        the experiment's page.
        """
        route = f"#/experiments/{self._experiment.id}/runs?workflowType=machine_learning&compareRunsMode=CHART"
        return open_until_painted(self._browser, f"{address}/{route}", (RUN_NAMES, MLFLOWS_TABLE), link)

    def _sleeper(self) -> "Running":
        port = _free_port()
        settings = ServerSettings(TASK, f"file://{DATA}/snapshots", f"http://localhost:{port}")
        environment = {**settings.to_env(), "PORT": str(port)}
        command = ("/opt/bigpanda/bin/python", "-m", "mlflow_on_demand.server")
        return Running(self._ours.running(self._data, environment, *command), f"http://localhost:{port}")

    def _tuned(self) -> "Running":
        return self._start_stock({"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}, "--workers", "1")

    def _default(self) -> "Running":
        return self._start_stock({})

    def _start_stock(self, environment: dict[str, str], *arguments: str) -> "Running":
        port = _free_port()
        (self._data / "stock.db").write_bytes(self._database)
        command = (STOCK, "server", "--port", str(port), "--backend-store-uri", f"sqlite:///{DATA}/stock.db")
        quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "PATH": "/opt/stock/bin:/usr/sbin:/usr/bin"}
        running = self._stock.running(self._data, quiet | environment, *command, *arguments)
        return Running(running, f"http://localhost:{port}")


class Running(AbstractContextManager[tuple[int, str]]):
    """A contender's process and its address."""

    def __init__(self, process: AbstractContextManager[int], address: str) -> None:
        self._process, self._address = process, address

    def __enter__(self) -> tuple[int, str]:
        return self._process.__enter__(), self._address

    def __exit__(self, *error: Any) -> None:
        self._process.__exit__(*error)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def _until_listening(address: str) -> None:
    port = int(address.rpartition(":")[2])
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.005)
        else:
            return
    raise TimeoutError(f"nothing listens at {address}")
