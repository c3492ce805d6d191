"""The control loop: changes of objects in, reconciled objects out.

One worker, so that controllers never race each other; a controller that fails is logged and tried again.
"""

import asyncio
import dataclasses
import logging
from collections.abc import Awaitable, Callable

from knative_embedded.control.collector import Collector
from knative_embedded.control.eventing import EventingControllers
from knative_embedded.control.queue import WorkQueue
from knative_embedded.control.serving import ServingControllers
from knative_embedded.kinds import BROKER, CONFIGURATION, PING_SOURCE, REVISION, ROUTE, SERVICE, TRIGGER, Kind
from knative_embedded.objects import Object, meta, name_of, namespace_of
from knative_embedded.pods.fleet import Fleet
from knative_embedded.state.history import Change
from knative_embedded.state.store import Store
from knative_embedded.state.tombstones import Tombstones

log = logging.getLogger(__name__)

Item = tuple[Kind, str, str]
_RETRY_AFTER = 1.0


@dataclasses.dataclass(frozen=True)
class Controllers:
    """Those of Serving and those of Eventing."""

    serving: ServingControllers
    eventing: EventingControllers


class ControlLoop:
    """Follows the store and reconciles what a change touches."""

    def __init__(
        self,
        store: Store,
        fleet: Fleet,
        controllers: Controllers,
        tombstones: Tombstones,
        queue: WorkQueue[Item],
    ) -> None:
        self._store = store
        self._fleet = fleet
        self._tombstones = tombstones
        self._queue = queue
        serving, eventing = self._serving, self._eventing = controllers.serving, controllers.eventing
        self._collector = Collector(store)
        self._reconcilers: dict[str, Callable[[Object], Awaitable[None]]] = {
            SERVICE.resource: serving.reconcile_service,
            CONFIGURATION.resource: serving.reconcile_configuration,
            REVISION.resource: serving.reconcile_revision,
            ROUTE.resource: serving.reconcile_route,
            BROKER.resource: eventing.reconcile_broker,
            TRIGGER.resource: eventing.reconcile_trigger,
            PING_SOURCE.resource: eventing.reconcile_ping_source,
        }

    async def follow(self) -> None:
        """Turn changes into work, for ever; at first everything is looked at once."""
        version = self._store.history.version
        await self._collector.sweep()
        for kind, thing in self._store.everything():
            self._add(kind, thing)
        async for change in self._store.history.follow(version):
            await self._observe(change)

    async def _observe(self, change: Change) -> None:
        thing = change.last
        self._add(change.kind, thing)
        if change.kind is SERVICE:
            await self._tombstones.observe(change)
        if change.kind is REVISION:
            if change.after is None:
                self._fleet.retire(namespace_of(thing), name_of(thing))
            else:
                self._fleet.observe(thing)
        await self._collector.collect(change)

    def _add(self, kind: Kind, thing: Object) -> None:
        if kind.resource in self._reconcilers:
            self._queue.add((kind, namespace_of(thing), name_of(thing)))
        for item in self._serving.dependants(kind, thing):
            self._queue.add(item)
        if kind in (SERVICE, ROUTE, BROKER):
            for item in self._eventing.dependants(kind, thing):
                self._queue.add(item)

    async def work(self) -> None:
        """Reconcile what is queued, for ever."""
        while True:
            kind, namespace, name = await self._queue.get()
            thing = self._store.get(kind, namespace, name)
            if thing is None or meta(thing).get("deletionTimestamp"):
                continue
            try:
                await self._reconcilers[kind.resource](thing)
            except Exception:
                log.exception("reconciling %s %s/%s failed", kind.resource, namespace, name)
                asyncio.get_running_loop().call_later(_RETRY_AFTER, self._queue.add, (kind, namespace, name))
