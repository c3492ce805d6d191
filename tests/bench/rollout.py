"""A rollout over a large fleet: what it costs a page in calls, in time and in memory. Prints README's table "Rollouts".

The API is the embedded Knative's, a real one over HTTP that persists each write; no page's process is started: every
page sleeps, and the candidates are taken for good. One small program answers as `ingest`. What is counted is the
function's own: its calls to the API, its core time, its memory; the embedded Knative needs longer for a larger fleet.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.figures import Figure, write_table
from bigpanda_mlflow.resources import make_service
from bigpanda_mlflow.verification import Verdict
from embedded.kit import Cluster as Runtime
from support.builders import visualize_event
from support.rollouts import World, complete, write_images
from support.sink import Sink

CLIENTS = 8
MOST_STEPS = 500


def main() -> None:
    """Some minutes for a fleet of 1,000, an hour or more for 5,000 on two cores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into README.md")
    parser.add_argument("--services", type=int, nargs="+", default=[100, 500, 1000], help="fleets (%(default)s)")
    options = parser.parse_args()
    rows = []
    for size in options.services:
        for figure in measure(size):
            rows.append(figure.row())
            print(rows[-1], flush=True)
    if options.write:
        write_table("bench-rollout", rows)


def measure(size: int) -> Iterator[Figure]:
    """The figures of one fleet."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        root, sink = Path(folder), Sink()
        with Runtime(root / "state", write_images(root)) as runtime:
            world = World(runtime, "fleet", sink.url, BIGPANDA_ROLLOUT_COHORTS="3,10%,50%,100%")
            fill(world, size)
            yield from roll(world, size)
            world.close()
        sink.close()


def fill(world: World, size: int) -> None:
    """As many pages as that, all asleep."""
    made = (make_service(visualize_event(jeditaskid=task), world.context.settings) for task in range(1, size + 1))
    with ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(world.context.cluster.create_service, made))
    while not all(service.get("status", {}).get("traffic") for service in world.context.cluster.list_services()):
        time.sleep(1)


def roll(world: World, size: int) -> Iterator[Figure]:
    """The rollout of a new image, until the fleet is through."""
    calls = count_calls(world)
    world.publish(2)
    forget_peak()
    before, started, core = peak_megabytes(), time.perf_counter(), time.process_time()
    for _ in range(MOST_STEPS):
        world.step(verify=lambda *_: Verdict(ok=True), seconds=240)
        if complete(world.record):
            break
        world.wait(20)
    assert world.record.promoted == size, world.record.as_json()
    name = f"rollout of {size:,} pages"
    yield Figure(f"{name}: calls to the API, a page", "", [calls[0] / size])
    yield Figure(f"{name}: the function's core time, a page", "ms", [(time.process_time() - core) * 1000 / size])
    yield Figure(f"{name}: from the event to the end, a page", "ms", [(time.perf_counter() - started) * 1000 / size])
    yield Figure(f"{name}: memory at most, above that before", "MB", [peak_megabytes() - before])


def count_calls(world: World) -> list[int]:
    """Goes up with each call of the API."""
    api, count = world.context.cluster.api, [0]
    call = api.call_api

    def counted(*arguments: Any, **named: Any) -> Any:
        count[0] += 1
        return call(*arguments, **named)

    api.call_api = counted
    return count


def forget_peak() -> None:
    """The kernel's mark of the most memory is that of now."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_megabytes() -> float:
    """The most memory that was resident since."""
    status = Path(f"/proc/{os.getpid()}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


if __name__ == "__main__":
    main()
