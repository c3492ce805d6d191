"""How far a wake has come, told by the threads that do the work to the requests that wait for it."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from threading import Condition
from typing import TYPE_CHECKING

from mlflow_on_demand.answers import Answers
from mlflow_on_demand.mlflow_facts import mlflow_version
from mlflow_on_demand.served import Served
from mlflow_on_demand.snapshot import Manifest

if TYPE_CHECKING:
    import asyncio

_log = logging.getLogger(__name__)


class Stage(StrEnum):
    """The stages of a wake, in their usual order; FAILED may turn into LOADING again when the cause goes away."""

    STARTING = "starting"
    WAITING = "waiting_for_snapshot"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True)
class Status:
    """A stage, why in plain words where that helps, the manifest and its recorded answers (empty if there are none)
    once they are known, and, when it is READY, the open snapshot. A newer snapshot comes as a whole, by another status.
    From `finished_at` on, in seconds since 1970, the task counts as finished (None: nobody knows).
    """

    stage: Stage
    reason: str = ""
    manifest: Manifest | None = None
    answers: Answers | None = field(default=None, repr=False)
    served: Served | None = None
    finished_at: int | None = None

    def is_finished(self, now: float) -> bool:
        """Whether the task counts as finished at that time, in seconds since 1970: there is nothing to ask for."""
        return self.finished_at is not None and self.finished_at < now

    def as_json(self) -> dict[str, object]:
        """What `/health` and `/ready` say: `version` is this server's MLflow, `mlflow` the snapshot's writer."""
        known = self.manifest
        return {
            "stage": self.stage,
            "version": mlflow_version(),
            **({"reason": self.reason} if self.reason else {}),
            **({"snapshot": known.digest, "content": known.content, "mlflow": known.mlflow_version} if known else {}),
        }


def knows_answers(status: Status) -> bool:
    """Whether it will not be known any better what is recorded."""
    return status.answers is not None or is_settled(status)


def is_settled(status: Status) -> bool:
    """Whether the wake is over, or waits for something outside."""
    return status.stage in (Stage.READY, Stage.WAITING, Stage.FAILED)


def is_decided(status: Status) -> bool:
    """Whether it is known which page to show. A reason is worth telling at once, even if it may pass."""
    return status.manifest is not None or status.stage in (Stage.WAITING, Stage.FAILED) or bool(status.reason)


class Progress:
    """The present status; set from any thread, awaited on the server's event loop or by a thread."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._status = Status(Stage.STARTING)
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []

    @property
    def status(self) -> Status:
        """What holds now."""
        with self._changed:
            return self._status

    def set(self, status: Status) -> None:
        """Say what holds from now on, and wake whoever waits for a change."""
        self._change(lambda _: status)

    def explain(self, reason: str) -> None:
        """Say why what holds still holds, unless it is READY."""
        self._change(lambda held: held if held.stage is Stage.READY else replace(held, reason=reason))

    def _change(self, make: Callable[[Status], Status]) -> None:
        with self._changed:
            status = make(self._status)
            if status == self._status:
                return
            self._status = status
            waiting, self._waiting = self._waiting, []
            self._changed.notify_all()
        digest = status.manifest.digest if status.manifest else None
        _log.info("stage %s", status.stage, extra={"stage": status.stage, "reason": status.reason, "snapshot": digest})
        for loop, future in waiting:
            if not loop.is_closed():
                loop.call_soon_threadsafe(_resolve, future)

    async def wait_until(self, good: Callable[[Status], bool], seconds: float) -> Status:
        """The first status that is good, or what holds when the time is up."""
        import asyncio  # its import is a third of what a wake begins with, and a thread can wait without

        try:
            async with asyncio.timeout(seconds):
                while True:
                    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                    with self._changed:
                        if good(self._status):
                            return self._status
                        self._waiting.append((asyncio.get_running_loop(), future))
                    await future
        except TimeoutError:
            return self.status

    def block_until(self, good: Callable[[Status], bool], seconds: float) -> Status:
        """The same for a thread."""
        with self._changed:
            self._changed.wait_for(lambda: good(self._status), seconds)
            return self._status


def _resolve(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
