"""A rollout over a large fleet beside one over a small fleet: what it costs a page in calls, time and memory.

The API is the embedded Knative's, a real one over HTTP, with its state in memory, so that no disk is measured. No
page's process is started: every page sleeps, and the candidates are taken for good; one small program answers as
`ingest`. Calls, core time and memory are those of the function, which has a process of its own for each fleet.
"""

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from kubernetes import config

from bench.figures import Figure
from bigpanda_mlflow.cluster import Cluster
from bigpanda_mlflow.errors import Transient
from bigpanda_mlflow.resources import make_service
from bigpanda_mlflow.settings import Settings
from bigpanda_mlflow.verification import Verdict
from embedded.kit import Cluster as Runtime
from support.builders import visualize_event
from support.rollouts import World, complete, write_images
from support.sink import Sink
from support.watched_calls import watch_calls

Result = TypeVar("Result")

SMALL, LARGE = 500, 5000
CLIENTS = 8
MOST_STEPS = 500
PROGRESS_EVERY = 500


@dataclass(frozen=True)
class Cost:
    """What a rollout took: calls, milliseconds of core time and of waiting, all a page; the most memory in MB, above
    that before; the size of its record in the cluster, in bytes.
    """

    calls: float
    core: float
    wall: float
    memory: float
    record: float


def main() -> None:
    """Some minutes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--services", type=int, nargs=2, default=[SMALL, LARGE], help="both fleets (%(default)s)")
    options = parser.parse_args()
    for figure in measure_rollouts(*options.services):
        print(figure.row(), flush=True)


def measure_rollouts(small: int, large: int) -> Iterator[Figure]:
    """The figures of the large fleet, beside those of the small one."""
    theirs, ours = (_alone(measure, size) for size in (small, large))
    name, other = f"rollout over {large:,} pages", f"over {small:,}"
    for what, unit, field in (
        ("calls to the API, a page", "", "calls"),
        ("the function's core time, a page", "ms", "core"),
        ("from the event to the end, a page", "ms", "wall"),
        ("memory at most, above that before", "MB", "memory"),
        ("its record in the cluster", "bytes", "record"),
    ):
        yield Figure(f"{name}: {what}", unit, [getattr(ours, field)], other, (getattr(theirs, field),))


def _alone(work: Callable[..., Result], *arguments: Any) -> Result:
    """What `work` gives, done in a process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as own:
        return own.submit(work, *arguments).result()


def measure(size: int) -> Cost:
    """A fleet of that size, and its rollout."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/dev/shm") as folder:
        root, sink = Path(folder), Sink()
        with Runtime(root / "state", write_images(root)) as runtime:
            world = World(runtime, "fleet", sink.url, BIGPANDA_ROLLOUT_COHORTS="3,10%,50%,100%")
            _alone(fill, str(runtime.endpoints["kubeconfig"]), world.environment, size)
            cost = roll(world, size)
            world.close()
        sink.close()
    return cost


def fill(kubeconfig: str, environment: dict[str, str], size: int) -> None:
    """As many pages as that, all asleep."""
    settings = Settings.from_environment(environment)
    made = (make_service(visualize_event(jeditaskid=task), settings) for task in range(1, size + 1))
    with config.new_client_from_config(kubeconfig) as api, ThreadPoolExecutor(CLIENTS) as clients:
        cluster = Cluster(api, settings.namespace)
        for number, _ in enumerate(clients.map(cluster.create_service, made), 1):
            _tell("made", number, size)
        while not all(service.get("status", {}).get("traffic") for service in cluster.list_services()):
            time.sleep(1)


def roll(world: World, size: int) -> Cost:
    """The rollout of a new image, until the fleet is through."""
    calls, verified = Counter[str](), count(1)  # no lists, which would grow with the fleet

    def verify(*_: Any) -> Verdict:
        _tell("verified", next(verified), size)
        return Verdict(ok=True)

    watch_calls(world.context.cluster.api, lambda call: calls.update((call.method,)))
    world.publish(2)
    _forget_peak()
    before = _peak_megabytes()
    started, core = time.perf_counter(), time.process_time()
    for _ in range(MOST_STEPS):
        with suppress(Transient):  # as behind a broker, which tries again
            world.step(verify=verify, seconds=240)
        if complete(world.record):
            break
        world.wait(20)
    assert world.record.promoted == size, world.record.as_json()
    return Cost(
        calls=calls.total() / size,
        core=(time.process_time() - core) * 1000 / size,
        wall=(time.perf_counter() - started) * 1000 / size,
        memory=_peak_megabytes() - before,
        record=sum(map(len, world.context.cluster.get_rollouts().values())),
    )


def _tell(what: str, number: int, size: int) -> None:
    if number % PROGRESS_EVERY == 0:
        print(f"{number:,} of {size:,} pages {what}", file=sys.stderr, flush=True)


def _forget_peak() -> None:
    """The kernel's mark of the most memory is that of now."""
    Path("/proc/self/clear_refs").write_text("5")


def _peak_megabytes() -> float:
    """The most memory that was resident since, in 10^6 bytes."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


if __name__ == "__main__":
    main()
