"""The measurements of `make bench-cluster`."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import requests

from bench.contenders import DEFAULT, HELLO, OURS, SPACE, TUNED, Contender, make_service, memory_of, pods_of
from bench.figures import Figure, seconds
from bigpanda_laptop.deploy import METRICS
from bigpanda_laptop.sample import TASK
from support.laptop import until
from support.real_cluster import apply, kubectl
from support.real_platform import Platform

RUNS = "/ajax-api/2.0/mlflow/runs/search"
PATIENCE = 290.0
ASLEEP_SECONDS = 180.0
BURST = range(2000, 2050)
"""Tasks that each have the sample's tarballs."""


class Bench:
    """One platform and its contenders, all asleep at first."""

    def __init__(self, platform: Platform, experiments: list[str], hello: str) -> None:
        self._platform = platform
        self._query = {"experiment_ids": experiments}
        self._hello = hello

    def figures(self, samples: int) -> Iterator[Figure]:
        """Each as soon as it is there."""
        self._visualize(TASK)
        until(lambda: self._platform.get(OURS.name, "/ready").ok, PATIENCE, "the sample is ingested")
        yield from self._clicks(samples)
        yield from self._events(samples)
        yield from self._burst()

    def _clicks(self, samples: int) -> Iterator[Figure]:
        times: dict[Contender, list[tuple[float, float]]] = {OURS: [], TUNED: [], DEFAULT: [], HELLO: []}
        memory: dict[Contender, float] = {}
        for contender in times:
            self._click(contender)  # the node pulls the image once, which is nobody's wake
        for _ in range(samples):
            # One at a time, and each from zero: nothing of another is starting or ending meanwhile.
            for contender, found in times.items():
                self._until_asleep(*times)
                found.append(self._click(contender))
                memory[contender] = memory_of(contender) if contender is not HELLO else 0.0
        for theirs in (HELLO, TUNED, DEFAULT):
            first = (tuple(a for a, _ in times[who]) for who in (OURS, theirs))
            yield Figure("click → HTML, from zero", "s", list(next(first)), theirs.words, next(first))
        for theirs in (TUNED, DEFAULT):
            second = (tuple(b for _, b in times[who]) for who in (OURS, theirs))
            yield Figure("click → first `runs/search`, from zero", "s", list(next(second)), theirs.words, next(second))
        for theirs in (TUNED, DEFAULT):
            yield Figure("memory of an awake page (PSS)", "MB", [memory[OURS]], theirs.words, (memory[theirs],))

    def _events(self, samples: int) -> Iterator[Figure]:
        ours, bare = [], []
        self._until_asleep(OURS, TUNED, DEFAULT, HELLO)
        for number in range(samples):
            ours.append(seconds(partial(self._visualize, 1000 + number, artifacts=[f"s3://{METRICS}/none/"])))
            bare.append(seconds(partial(self._make_hello, f"ready-{number}")))
            self._until_asleep(Contender(f"ready-{number}", SPACE, ""))
        yield Figure("event at `front` → `service.ready`", "s", ours, "a hello-world, created → Ready", tuple(bare))

    def _burst(self) -> Iterator[Figure]:
        made = [seconds(partial(self._visualize, task, artifacts=[f"s3://{METRICS}/{task}/"])) for task in BURST]
        yield Figure(f"event at `front` → `service.ready`, {len(BURST)} new tasks one after the other", "s", made)
        # A page without a snapshot would only say that it waits: all are made once `ingest` sleeps again.
        until(lambda: not self._platform.pods("ingest"), 10 * ASLEEP_SECONDS, "all tarballs are ingested")
        until(lambda: not self._pods_of_tasks(), ASLEEP_SECONDS, "all tasks sleep")
        with ThreadPoolExecutor(len(BURST)) as clients:
            clicked = list(clients.map(lambda task: self._click(Contender(f"task-{task}", OURS.namespace, "")), BURST))
        yield Figure(f"{len(BURST)} sleeping pages clicked at once → HTML", "s", [a for a, _ in clicked])
        yield Figure(f"{len(BURST)} sleeping pages clicked at once → first `runs/search`", "s", [b for _, b in clicked])

    def _visualize(self, task: int, **changes: Any) -> None:
        answer = self._platform.send("wait=60", jeditaskid=task, **changes)
        assert answer.headers.get("ce-type") == "ch.cern.bigpanda.service.ready", answer.text

    def _make_hello(self, name: str) -> None:
        apply(make_service(name, {"image": self._hello}, scale="1"))
        kubectl("-n", SPACE, "wait", f"ksvc/{name}", "--for=condition=Ready", "--timeout=180s")

    def _click(self, contender: Contender) -> tuple[float, float]:
        """Seconds to the page, and from the same click to its runs."""
        target = self._platform.target
        headers = {"Host": contender.host(target)}
        started = time.perf_counter()
        requests.get(target.ingress, headers=headers, timeout=PATIENCE).raise_for_status()
        first = time.perf_counter() - started
        if contender is HELLO:
            return first, first
        number = contender.name.removeprefix("task-")
        wanted = {"experiment_ids": [self._experiment_of(number, one) for one in self._query["experiment_ids"]]}
        answer = requests.post(f"{target.ingress}{RUNS}", json=wanted, headers=headers, timeout=PATIENCE)
        answer.raise_for_status()
        assert answer.json()["runs"], answer.text
        return first, time.perf_counter() - started

    def _experiment_of(self, task: str, experiment: str) -> str:
        # jeditaskid x 10^6 + segment: the same segment of another task
        return f"{task}{experiment[-6:]}" if task.isdigit() else experiment

    def _until_asleep(self, *contenders: Contender) -> None:
        def asleep() -> bool:
            return not any(pods_of(contender) for contender in contenders)

        until(asleep, ASLEEP_SECONDS, "all that is measured sleeps")

    def _pods_of_tasks(self) -> list[str]:
        selector = "bigpanda.cern.ch/jeditaskid"
        found = json.loads(kubectl("-n", OURS.namespace, "get", "pods", "-l", selector, "-o", "json"))
        return [pod["metadata"]["name"] for pod in found["items"]]
