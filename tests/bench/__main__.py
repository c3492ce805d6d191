"""Measures the platform as `make run` starts it, and prints README's table "Measured"; `--write` puts it there."""

import argparse
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import requests

from bench.figures import Figure, megabytes, seconds, write_table
from bench.ingest import measure_ingest
from bench.rollout import LARGE, SMALL, measure_rollouts
from bench.stock import find_experiments, prepare_stock, running_stock, unpack_database, until_answered
from bench.stores import measure_stores
from support.laptop import KNATIVE, Laptop, running_laptop, until

TASK = "task-30456789"
RUNS = "/ajax-api/2.0/mlflow/runs/search"
EVENTS, CLIENTS = 100, 8
# `rollout` is woken every minute, `sweep` every other.
IDLE_SECONDS = 120


def main() -> None:
    """Takes some twenty minutes, most of it waiting for pages to fall asleep, for the alternative to start, and for a
    rollout over 5,000 pages.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into README.md")
    parser.add_argument("--samples", type=int, default=5, help="wakes and starts to measure (%(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        state = Path(folder)
        with running_laptop(state, "--idle-window", "6s") as laptop:
            rows = [show(figure) for figure in measure(laptop, state, options.samples)]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        rows += [show(figure) for figure in measure_ingest(prepare_stock(), Path(folder), min(3, options.samples))]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        rows += [show(figure) for figure in measure_stores(Path(folder), min(3, options.samples))]
    rows += [show(figure) for figure in measure_rollouts(SMALL, LARGE)]
    if options.write:
        write_table("bench", rows)


def measure(laptop: Laptop, state: Path, samples: int) -> Iterator[Figure]:
    """Each figure as soon as it is there."""
    yield from events(laptop)
    yield from clicks(laptop, state, samples)


def show(figure: Figure) -> str:
    """The figure's row, on the terminal too."""
    row = figure.row()
    print(row, flush=True)
    return row


def events(laptop: Laptop) -> Iterator[Figure]:
    """From an event to its answer; beside it, an empty Service made by the API alone, as fast as Knative goes."""
    laptop.call("visualize", jeditaskid=1)
    ours, bare = [], []
    for number in range(20):
        ours.append(seconds(partial(ask, laptop, 100 + number)))
        bare.append(seconds(partial(make_bare_service, laptop, f"bare-{number}")))
    yield Figure("event → `service.ready`, new task", "s", ours, "an empty Service, created → Ready", tuple(bare))
    started = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(lambda number: ask(laptop, 500 + number % 50), range(EVENTS)))
    rate = EVENTS / (time.perf_counter() - started)
    yield Figure(f"events answered, {CLIENTS} clients, half of them for new tasks", "1/s", [rate])


def ask(laptop: Laptop, task: int) -> None:
    laptop.call("visualize", jeditaskid=task).raise_for_status()


def make_bare_service(laptop: Laptop, name: str) -> None:
    template = {
        "metadata": {"annotations": {"autoscaling.knative.dev/initial-scale": "0"}},
        "spec": {"containers": [{"image": "bigpanda-mlflow/functions"}]},
    }
    body = {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"template": template},
    }
    laptop.custom.create_namespaced_custom_object(plural="services", body=body, **KNATIVE)

    def is_ready() -> bool:
        service = laptop.service(name)
        conditions = {} if service is None else service.get("status", {})
        return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions.get("conditions", []))

    until(is_ready, 30, f"{name} is ready")


def clicks(laptop: Laptop, state: Path, samples: int) -> Iterator[Figure]:
    """From a click to the first byte and to the first runs, asleep and awake, and what sleeping saves."""
    mlflow, database = prepare_stock(), state / "stock.db"
    unpack_database(state, database)
    query = {"experiment_ids": find_experiments(database)}
    asleep: list[tuple[float, float]] = []
    awake: list[tuple[float, float]] = []
    for _ in range(samples):
        until(lambda: laptop.is_asleep(TASK), 90, "the page sleeps")
        asleep.append(click(laptop, query))
        awake.append(click(laptop, query))
    until(lambda: laptop.is_asleep(TASK) and laptop.is_asleep("ingest"), 90, "everything sleeps")
    idle = []
    for _ in range(IDLE_SECONDS):
        time.sleep(1)
        idle.append(megabytes(laptop.process.pid))
    started: list[tuple[float, float]] = []
    warm: list[tuple[float, float]] = []
    memory = 0.0
    for _ in range(samples):
        with running_stock(mlflow, database) as stock:
            started.append(time_stock(stock.url, query))
            warm.append(time_stock(stock.url, query))
            memory = megabytes(stock.process)
    name = "`mlflow server`, tuned, from its start"
    yield Figure("click → first byte, asleep", "s", [a for a, _ in asleep], name, tuple(a for a, _ in started))
    yield Figure("click → first `runs/search`, asleep", "s", [b for _, b in asleep], name, tuple(b for _, b in started))
    name = "the same, running"
    yield Figure("click → first byte, awake", "s", [a for a, _ in awake], name, tuple(a for a, _ in warm))
    yield Figure("click → `runs/search`, awake", "s", [b for _, b in awake], name, tuple(b for _, b in warm))
    yield Figure("memory of the idle platform, 70 pages asleep", "MB", idle, "one `mlflow server`, one task", (memory,))


def click(laptop: Laptop, query: dict[str, list[str]]) -> tuple[float, float]:
    """Seconds to the page, and from the same click to its runs."""
    headers = {"Host": laptop.url(TASK).removeprefix("http://")}
    started = time.perf_counter()
    laptop.get(TASK).raise_for_status()
    first = time.perf_counter() - started
    answer = requests.post(f"{laptop.ingress}{RUNS}", json=query, headers=headers, timeout=120)
    answer.raise_for_status()
    assert answer.json()["runs"]
    return first, time.perf_counter() - started


def time_stock(url: str, query: dict[str, list[str]]) -> tuple[float, float]:
    """The same two figures for a server of MLflow's own."""
    started = time.perf_counter()
    until_answered(f"{url}/")
    first = time.perf_counter() - started
    assert until_answered(f"{url}{RUNS}", query).json()["runs"]
    return first, time.perf_counter() - started


if __name__ == "__main__":
    main()
