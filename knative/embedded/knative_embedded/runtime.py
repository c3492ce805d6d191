"""The whole runtime, put together: open the state, start the parts in order, stop them in reverse.

    async with Runtime(Settings(state=…, images=…)) as runtime:
        runtime.folder.kubeconfig, runtime.ports

Promises: when `start` returns, everything is served; when `stop` returns, no pod's process is left.
"""

import asyncio
import contextlib
import os
import shutil
import socket
import sqlite3
from collections.abc import Coroutine
from types import TracebackType
from typing import Any

from starlette.types import ASGIApp

from knative_embedded import labels
from knative_embedded.api.app import ApiServer
from knative_embedded.api.errors import ApiError
from knative_embedded.api.kubeconfig import make_endpoints, make_kubeconfig
from knative_embedded.api.podlogs import PodLogs
from knative_embedded.api.tls import ensure_credentials
from knative_embedded.control.eventing import EventingControllers
from knative_embedded.control.hosts import Addresses
from knative_embedded.control.loop import Controllers, ControlLoop, Item
from knative_embedded.control.queue import WorkQueue
from knative_embedded.control.serving import ServingControllers
from knative_embedded.eventing.dispatch import Dispatcher
from knative_embedded.eventing.ping import Pings
from knative_embedded.eventing.sender import Sender
from knative_embedded.kinds import NAMESPACE, REVISION
from knative_embedded.listeners import Listener, bind
from knative_embedded.objects import Clock, utc_now
from knative_embedded.pods.fleet import Fleet
from knative_embedded.pods.images import load_images
from knative_embedded.pods.leftovers import end_leftovers
from knative_embedded.pods.pod import Node
from knative_embedded.settings import Ports, Settings
from knative_embedded.state.database import Database
from knative_embedded.state.folder import Folder, write_atomically
from knative_embedded.state.store import Store
from knative_embedded.state.tombstones import Tombstones
from knative_embedded.web.gateway import Gateway
from knative_embedded.web.ingress import Ingress
from knative_embedded.web.internal import Internal


class Runtime:
    """A one-machine Knative."""

    def __init__(self, settings: Settings, clock: Clock = utc_now) -> None:
        self.settings = settings
        self.folder = Folder(settings.state)
        self._clock = clock
        self._stack = contextlib.AsyncExitStack()
        self._ports: Ports | None = None

    @property
    def ports(self) -> Ports:
        """The ports in use, once started."""
        assert self._ports is not None
        return self._ports

    async def __aenter__(self) -> "Runtime":
        """Start."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        await self.stop()

    async def start(self) -> None:
        """Until everything is served. Raises StateInUse, ImageFileError or PortTaken."""
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Until nothing is left but the state folder."""
        await self._stack.aclose()

    async def _start(self) -> None:
        images = load_images(self.settings.images)
        self.folder.open()
        self._stack.callback(self.folder.close)
        sockets, ports = self._bind()
        database = Database(self.folder.database)
        await database.open()
        self._stack.push_async_callback(database.close)
        await database.run(self._end_leftovers)
        store = Store(database, self._clock)
        await store.load()
        await _ensure_namespace(store)
        node = Node(self.settings, self.folder, images, store, database, self._clock)
        token = ensure_credentials(self.folder.tls, self._clock())
        await self._assemble(node, sockets, ports, token)
        self._ports = ports
        self._announce(ports, token)

    def _bind(self) -> tuple[tuple[socket.socket, socket.socket, socket.socket], Ports]:
        kept = self.folder.read_ports()
        wanted = (
            (self.settings.ingress_port or kept.get("ingress", 0), "--ingress-port"),
            (self.settings.internal_port or kept.get("internal", 0), "--internal-port"),
            (self.settings.api_port or kept.get("api", 0), "--api-port"),
        )
        bound = []
        for port, flag in wanted:
            bound.append(bind(port, flag))
            self._stack.callback(bound[-1].close)
        ingress, internal, api = bound
        ports = Ports(*(one.getsockname()[1] for one in bound))
        self.folder.write_ports(ports)
        return (ingress, internal, api), ports

    def _end_leftovers(self, connection: sqlite3.Connection) -> None:
        end_leftovers(connection, self.folder.pods)
        for home in self.folder.pods.iterdir():
            shutil.rmtree(home, ignore_errors=True)

    async def _assemble(
        self, node: Node, sockets: tuple[socket.socket, socket.socket, socket.socket], ports: Ports, token: str
    ) -> None:
        addresses = Addresses(self.settings.domain, ports.ingress, ports.internal)
        tombstones = Tombstones(node.database, self._clock)
        queue: WorkQueue[Item] = WorkQueue()
        fleet = Fleet(node, lambda key: queue.add((REVISION, *key)))
        serving = ServingControllers(node, fleet, addresses)
        eventing = EventingControllers(node, addresses)
        loop = ControlLoop(node.store, fleet, Controllers(serving, eventing), tombstones, queue)
        gateway = Gateway(fleet)
        self._stack.push_async_callback(gateway.close)
        dispatcher = Dispatcher(node)
        internal = Internal(node.store, gateway, dispatcher.brokers)
        sender = Sender(internal)
        self._stack.push_async_callback(sender.close)
        pings = Pings(node, sender)
        self._stack.push_async_callback(fleet.close)
        for work in (loop.follow(), loop.work(), fleet.bound_logs(), _follow(node.store, dispatcher, pings)):
            self._keep_running(work)
        api = ApiServer(node.store, PodLogs(fleet), token, self._clock)
        ingress = Ingress(node.store, gateway, tombstones, self.settings.domain)
        tls = (None, None, self.folder.tls)
        apps: tuple[ASGIApp, ASGIApp, ASGIApp] = (ingress, internal, api)
        for app, one, folder in zip(apps, sockets, tls, strict=True):
            listener = Listener(app, one, folder)
            await listener.start()
            self._stack.push_async_callback(listener.stop)
        await dispatcher.start(sender)
        self._stack.push_async_callback(dispatcher.close)
        pings.start()
        self._stack.push_async_callback(pings.close)

    def _keep_running(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)

        async def end() -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        self._stack.push_async_callback(end)

    def _announce(self, ports: Ports, token: str) -> None:
        ca = (self.folder.tls / "ca.pem").read_bytes()
        write_atomically(self.folder.kubeconfig, make_kubeconfig(ports, ca, token))
        write_atomically(self.folder.endpoints, make_endpoints(ports, os.getpid(), str(self.folder.kubeconfig)))


async def _ensure_namespace(store: Store) -> None:
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "default", "labels": {labels.NAMESPACE_NAME: "default"}},
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
    }
    with contextlib.suppress(ApiError):
        await store.create(NAMESPACE, namespace)


async def _follow(store: Store, dispatcher: Dispatcher, pings: Pings) -> None:
    async for change in store.history.follow(store.history.version):
        await dispatcher.observe(change)
        pings.observe(change)
