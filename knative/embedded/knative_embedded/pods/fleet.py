"""All Revisions' runners, kept in step with the store's Revisions."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

from knative_embedded.kinds import REVISION
from knative_embedded.objects import Object, name_of, namespace_of
from knative_embedded.pods import logs
from knative_embedded.pods.plan import CannotRun
from knative_embedded.pods.pod import Node
from knative_embedded.pods.runner import Runner

Key = tuple[str, str]
_BOUND_EVERY = 10.0


class Fleet:
    """The runners by namespace and Revision."""

    def __init__(self, node: Node, changed: Callable[[Key], None]) -> None:
        self._node = node
        self._changed = changed
        self._runners: dict[Key, Runner] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def runner(self, namespace: str, name: str) -> Runner | None:
        """The runner of a Revision, made when first asked for; None when there is no such Revision."""
        key = namespace, name
        if key not in self._runners:
            revision = self._node.store.get(REVISION, namespace, name)
            if revision is None:
                return None
            self._runners[key] = Runner(self._node, revision, lambda: self._changed(key))
        return self._runners[key]

    def observe(self, revision: Object) -> None:
        """A Revision was written."""
        found = self._runners.get((namespace_of(revision), name_of(revision)))
        if found is not None:
            found.observe(revision)

    def retire(self, namespace: str, name: str) -> None:
        """A Revision is gone: its requests may finish, then its pod ends."""
        found = self._runners.pop((namespace, name), None)
        if found is not None:
            grace = self._node.settings.grace
            task = asyncio.create_task(found.close(grace, drain=grace))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def wake_soon(self, runner: Runner) -> None:
        """Start a pod without a request; a failure shows in the Revision's conditions."""
        task = asyncio.create_task(_wake(runner))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def find_log(self, namespace: str, pod: str) -> tuple[Path, int] | None:
        """Where a pod's output lies, and where it begins."""
        for (owner, _), runner in self._runners.items():
            for one in runner.pods:
                if owner == namespace and one.name == pod:
                    return one.log, min(one.log_offset, logs.size_of(one.log))
        return None

    async def bound_logs(self) -> None:
        """Keep all log files small, for ever."""
        while True:
            for path in list(self._node.folder.logs.glob("*/*.log")):
                await asyncio.to_thread(logs.bound, path)
            await asyncio.sleep(_BOUND_EVERY)

    async def close(self) -> None:
        """End all pods."""
        grace = self._node.settings.shutdown_grace
        await asyncio.gather(*(runner.close(grace) for runner in self._runners.values()), *self._tasks)


async def _wake(runner: Runner) -> None:
    with contextlib.suppress(CannotRun, asyncio.CancelledError):
        await runner.wake()
