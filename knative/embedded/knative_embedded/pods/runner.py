"""One Revision on this machine: activator, autoscaler and queue-proxy in one.

Promises: requests that find no pod awake share one start and wait for it; a pod sleeps after its window without any
request; a pod that died is replaced by the next request; at most `containerConcurrency` requests are inside at a time.
"""

import asyncio
import contextlib
import dataclasses
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from knative_embedded import labels
from knative_embedded.admission.autoscaling import parse_scale
from knative_embedded.objects import Object, annotations_of, labels_of, name_of, namespace_of, spec_of
from knative_embedded.pods.plan import CannotRun, check_revision
from knative_embedded.pods.pod import Node, Pod, PodState

log = logging.getLogger(__name__)

_RESTART_FIRST, _RESTART_MOST = 1.0, 60.0


@dataclasses.dataclass(frozen=True)
class Facts:
    """What the controllers need to know of a Revision's pods."""

    problem: CannotRun | None
    """Why it can never run here."""
    failure: CannotRun | None
    """Why the last start failed; None once one succeeded."""
    started: bool
    """Whether a pod has passed its probe since the runtime began."""
    awake: int
    wanted: int


class Runner:
    """The pods of one Revision."""

    def __init__(self, node: Node, revision: Object, changed: Callable[[], None]) -> None:
        self._node = node
        self._revision = revision
        self._changed = changed
        self._scale = parse_scale(annotations_of(revision))
        concurrency = spec_of(revision)["containerConcurrency"]
        self._slots = asyncio.Semaphore(concurrency) if concurrency else None
        self._pod: Pod | None = None
        self._starting: asyncio.Task[Pod] | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._requests = 0
        self._idle = asyncio.Event()
        self._sleep_timer: asyncio.TimerHandle | None = None
        self._restart_after = _RESTART_FIRST
        self._failure: CannotRun | None = None
        self._started = False
        self._closed = False

    @property
    def timeout(self) -> float:
        """TimeoutSeconds of the Revision."""
        return float(spec_of(self._revision)["timeoutSeconds"])

    @property
    def first_byte_timeout(self) -> float:
        """Seconds to the first byte of an answer: 300 unless the Revision says otherwise."""
        return min(self.timeout, float(spec_of(self._revision).get("responseStartTimeoutSeconds") or 300))

    @property
    def pods(self) -> list[Pod]:
        """The pod that serves, if any."""
        return [self._pod] if self._pod else []

    @property
    def minimum(self) -> int:
        """min-scale, for a Revision that a Route points at."""
        reserve = labels_of(self._revision).get(labels.ROUTING_STATE) == "reserve"
        return 0 if reserve else min(self._scale.minimum, 1)

    def facts(self) -> Facts:
        """The state for the Revision's conditions."""
        problem = None
        try:
            check_revision(self._revision, self._node.images)
        except CannotRun as error:
            problem = error
        awake = sum(pod.state is PodState.READY for pod in self.pods)
        wanted = 1 if self.pods or (self._starting and not self._starting.done()) else self.minimum
        return Facts(problem, self._failure, self._started, awake, wanted)

    def observe(self, revision: Object) -> None:
        """Take over labels that changed: whether a Route points here decides whether min-scale counts."""
        self._revision = revision
        self._plan_sleep()

    @contextlib.asynccontextmanager
    async def slot(self, within: float) -> AsyncIterator[Pod]:
        """A place in an awake pod, for one request. Raises CannotRun, or TimeoutError after `within` seconds."""
        self._requests += 1
        self._idle.clear()
        self._cancel_sleep()
        try:
            async with asyncio.timeout(within):
                pod = await self.wake()
                if self._slots:
                    await self._slots.acquire()
            try:
                yield pod
            finally:
                if self._slots:
                    self._slots.release()
        finally:
            self._requests -= 1
            if not self._requests:
                self._idle.set()
            self._plan_sleep()

    async def wake(self) -> Pod:
        """The awake pod; starts one when there is none. Raises CannotRun."""
        if self._pod is not None and self._pod.state is PodState.READY:
            return self._pod
        if self._closed:
            raise CannotRun("Deleted", f"Revision {name_of(self._revision)} is being deleted")
        if self._starting is None or self._starting.done():
            self._starting = asyncio.create_task(self._start())
            self._starting.add_done_callback(_seen)
        return await asyncio.shield(self._starting)

    async def _start(self) -> Pod:
        pod = Pod(self._node, self._revision)
        self._changed()
        try:
            await pod.start()
        except CannotRun as error:
            self._failure = error
            log.warning("%s/%s: %s", namespace_of(self._revision), name_of(self._revision), error)
            await pod.stop(0)
            raise
        except asyncio.CancelledError:
            await pod.stop(0)
            raise
        finally:
            self._changed()
        self._pod, self._failure, self._started = pod, None, True
        self._restart_after = _RESTART_FIRST
        self._spawn(self._notice_end(pod))
        self._plan_sleep()
        self._changed()
        return pod

    async def _notice_end(self, pod: Pod) -> None:
        """A pod that ends by itself is taken out; with min-scale it is replaced, later each time."""
        await pod.ended.wait()
        if self._pod is not pod:
            return
        self._pod = None
        self._changed()
        while self.minimum and not self._closed and self._pod is None:
            await asyncio.sleep(self._restart_after)
            self._restart_after = min(self._restart_after * 2, _RESTART_MOST)
            with contextlib.suppress(CannotRun):
                await self.wake()

    def _plan_sleep(self) -> None:
        self._cancel_sleep()
        if self._pod is not None and not self._requests and not self.minimum and not self._closed:
            idle = self._scale.window + self._scale.retention
            self._sleep_timer = asyncio.get_running_loop().call_later(idle, self._sleep)

    def _cancel_sleep(self) -> None:
        if self._sleep_timer is not None:
            self._sleep_timer.cancel()
            self._sleep_timer = None

    def _sleep(self) -> None:
        pod, self._pod = self._pod, None
        if pod is not None:
            self._spawn(self._end(pod, self._node.settings.grace))
            self._changed()

    async def _end(self, pod: Pod, grace: float) -> None:
        await pod.stop(grace)
        self._changed()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def close(self, grace: float, drain: float = 0.0) -> None:
        """End for good: let requests finish for up to `drain` seconds, then end the pods."""
        self._closed = True
        self._cancel_sleep()
        if self._requests and drain:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), drain)
        if self._starting is not None and not self._starting.done():
            self._starting.cancel()
            await asyncio.wait([self._starting])
        pod, self._pod = self._pod, None
        if pod is not None:
            await pod.stop(grace)
        if self._ending:
            _done, pending = await asyncio.wait(self._ending, timeout=grace + 1)
            for task in pending:
                task.cancel()


def _seen(task: "asyncio.Task[Pod]") -> None:
    """A start that nobody waits for any more may fail without a complaint of asyncio's."""
    if not task.cancelled():
        task.exception()
