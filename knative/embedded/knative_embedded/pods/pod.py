"""One pod: from a plan to a process that passes its probe, and to its end with nothing left.

It keeps its traces itself: the row by which a later run finds it, the Pod object, its home folder.
"""

import asyncio
import contextlib
import dataclasses
import os
import secrets
import shutil
import socket
import sqlite3
import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from knative_embedded.api.errors import ApiError
from knative_embedded.kinds import BY_RESOURCE, POD
from knative_embedded.objects import Clock, Object, copy_of, name_of, namespace_of, spec_of, timestamp
from knative_embedded.pods import leftovers, logs, podobject
from knative_embedded.pods.images import Image
from knative_embedded.pods.plan import CannotRun, Place, check_revision, inherit, make_plan
from knative_embedded.pods.probe import make_probe, wait_ready
from knative_embedded.pods.process import PodProcess, spawn
from knative_embedded.settings import Settings
from knative_embedded.state.database import Database
from knative_embedded.state.folder import Folder
from knative_embedded.state.store import Store

START_DEADLINE = 600.0
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


class PodState(StrEnum):
    """Where a pod is in its life."""

    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    ENDED = "ended"


@dataclasses.dataclass(frozen=True)
class Node:
    """What every pod of this machine needs."""

    settings: Settings
    folder: Folder
    images: Mapping[str, Image]
    store: Store
    database: Database
    clock: Clock


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Pod:
    """One process group of a Revision."""

    def __init__(self, node: Node, revision: Object) -> None:
        suffix = "".join(secrets.choice(_LETTERS) for _ in range(5))
        self.name = f"{name_of(revision)}-deployment-{suffix}"
        self.port = free_port()
        self.state = PodState.STARTING
        self.log = logs.log_path(node.folder.logs, namespace_of(revision), name_of(revision))
        self.log_offset = logs.size_of(self.log)
        self._node = node
        self._revision = revision
        self._home = node.folder.pods / self.name
        self._process: PodProcess | None = None
        self._watcher: asyncio.Task[int] | None = None
        self.ended = asyncio.Event()

    async def start(self) -> None:
        """Until the probe passes. Raises CannotRun, with what the pod wrote last, when it ended or took too long."""
        plan = make_plan(self._revision, check_revision(self._revision, self._node.images), self._place(), self._find)
        self._home.mkdir(mode=0o700)
        try:
            process = self._process = await spawn(plan, self.log)
        except CannotRun:
            shutil.rmtree(self._home, ignore_errors=True)
            raise
        self._watcher = asyncio.create_task(self._watch(process))
        await self._note(process)
        probe = make_probe(spec_of(self._revision)["containers"][0])
        probing = asyncio.create_task(wait_ready(probe, self.port))
        ending = asyncio.create_task(self.ended.wait())
        try:
            await asyncio.wait({probing, ending}, timeout=START_DEADLINE, return_when=asyncio.FIRST_COMPLETED)
            if not probing.done() or self.ended.is_set():
                raise self._failure(process)
        finally:
            probing.cancel()
            ending.cancel()
        self.state = PodState.READY
        await self._show(ready=True)

    def _place(self) -> Place:
        return Place(
            pod=self.name,
            home=self._home,
            port=self.port,
            kubeconfig=self._node.folder.kubeconfig,
            inherited=inherit(os.environ),
            executables=Path(sys.executable).parent,
        )

    def _find(self, plural: str, name: str) -> Object | None:
        return self._node.store.get(BY_RESOURCE[plural], namespace_of(self._revision), name)

    def _failure(self, process: PodProcess) -> CannotRun:
        wrote = logs.read_tail(self.log, self.log_offset)
        if process.exit_code is None:
            return CannotRun(
                "ProgressDeadlineExceeded", f"Container did not become ready in {START_DEADLINE:.0f} s: {wrote}"
            )
        return CannotRun(f"ExitCode{process.exit_code}", f"Container failed with: {wrote or 'no output'}")

    async def _note(self, process: PodProcess) -> None:
        started = leftovers.read_start_time(process.pid)

        def note(connection: sqlite3.Connection) -> None:
            leftovers.note_pod(connection, process.pid, started, str(self._home))

        await self._node.database.run(note)
        await self._show(ready=False)

    async def _show(self, *, ready: bool) -> None:
        made = podobject.make_pod(self._revision, self.name, self.port, self._node.clock(), ready=ready)
        namespace = namespace_of(self._revision)
        with contextlib.suppress(ApiError):
            if self._node.store.get(POD, namespace, self.name) is None and not self.ended.is_set():
                await self._node.store.create(POD, made)
            else:
                await self._node.store.update(POD, namespace, self.name, lambda old: old | {"status": made["status"]})

    async def _watch(self, process: PodProcess) -> int:
        code = await process.wait()
        self.state = PodState.ENDED
        self.ended.set()
        await self._node.store.remove(POD, namespace_of(self._revision), self.name)
        await self._node.database.run(lambda connection: leftovers.forget_pod(connection, process.pid))
        await asyncio.to_thread(shutil.rmtree, self._home, ignore_errors=True)
        return code

    async def stop(self, grace: float) -> None:
        """SIGTERM, SIGKILL after `grace` seconds, and until every trace is gone."""
        if self._process is None or self._watcher is None:
            return
        if self.state is not PodState.ENDED:
            self.state = PodState.STOPPING
            with contextlib.suppress(ApiError):
                await self._node.store.update(POD, namespace_of(self._revision), self.name, self._mark_stopping)
            await self._process.stop(grace)
        await self._watcher

    def _mark_stopping(self, old: Object) -> Object:
        marked = copy_of(old)
        marked["metadata"]["deletionTimestamp"] = timestamp(self._node.clock())
        return marked
