"""Works that go on beside each other, as those of several processes do."""

import threading
import time
from collections.abc import Callable

from mlflow_on_demand.errors import OnDemandError

PATIENCE = 180.0


class Beside:
    """Works that go on at once until there is an end; what fails within the grace is a failure."""

    def __init__(self, seconds: float, *works: Callable[[], None]) -> None:
        self.failures: list[str] = []
        self._seconds = seconds
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._repeat, args=(work,)) for work in works]

    def go_on(self, until: Callable[[], bool]) -> None:
        for thread in self._threads:
            thread.start()
        end = time.monotonic() + PATIENCE
        while not until() and not self.failures and time.monotonic() < end:
            time.sleep(0.1)
        self._done.set()
        for thread in self._threads:
            thread.join()

    def _repeat(self, work: Callable[[], None]) -> None:
        while not self._done.is_set():
            begun = time.monotonic()
            try:
                work()
            except Exception as error:
                is_late = time.monotonic() - begun >= self._seconds
                if not (is_late and isinstance(error, OnDemandError)):
                    self.failures.append(f"{work}: {error!r}")
