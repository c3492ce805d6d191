"""PingSources: an event to each sink at each tick of its schedule.

Source: knative/eventing pkg/adapter/mtping/runner.go: type dev.knative.sources.ping, five retries from 50 ms. A tick
that passes while the runtime does not run is not made up for.
"""

import asyncio
import base64
import datetime as dt
import logging
import uuid

from knative_embedded.eventing.backoff import may_retry
from knative_embedded.eventing.cloudevents import Event
from knative_embedded.eventing.cron import next_tick
from knative_embedded.eventing.sender import Sender
from knative_embedded.eventing.sinks import resolve
from knative_embedded.kinds import PING_SOURCE
from knative_embedded.objects import Object, generation_of, micro_timestamp, name_of, namespace_of, spec_of, uid_of
from knative_embedded.pods.pod import Node
from knative_embedded.state.history import Change

log = logging.getLogger(__name__)

_RETRIES, _FIRST_WAIT, _TIMEOUT = 5, 0.05, 600.0
_LONGEST_SLEEP = 3600.0


def make_ping(source: Object, identity: str, time: str) -> Event:
    """The event of one tick. Pure."""
    spec = spec_of(source)
    attributes = {
        "specversion": "1.0",
        "id": identity,
        "source": f"/apis/v1/namespaces/{namespace_of(source)}/pingsources/{name_of(source)}",
        "type": "dev.knative.sources.ping",
        "time": time,
    }
    data = None
    if spec.get("dataBase64"):
        data = base64.b64decode(spec["dataBase64"])
    elif spec.get("data"):
        data = spec["data"].encode()
    if data is not None and spec.get("contentType"):
        attributes["datacontenttype"] = spec["contentType"]
    extensions = (spec.get("ceOverrides") or {}).get("extensions") or {}
    return Event({**attributes, **extensions}, data)


class Pings:
    """A timer for each PingSource."""

    def __init__(self, node: Node, sender: Sender) -> None:
        self._node = node
        self._sender = sender
        self._timers: dict[str, tuple[int, asyncio.Task[None]]] = {}

    def start(self) -> None:
        """Set the timers of the PingSources that are there."""
        for source in self._node.store.list(PING_SOURCE):
            self._set(source)

    def observe(self, change: Change) -> None:
        """Follow the PingSources."""
        if change.kind is not PING_SOURCE:
            return
        if change.after is not None:
            self._set(change.after)
        elif uid_of(change.last) in self._timers:
            self._timers.pop(uid_of(change.last))[1].cancel()

    def _set(self, source: Object) -> None:
        generation, task = self._timers.get(uid_of(source), (0, None))
        if generation == generation_of(source):
            return
        if task is not None:
            task.cancel()
        self._timers[uid_of(source)] = generation_of(source), asyncio.create_task(self._tick(source))

    async def _tick(self, source: Object) -> None:
        spec = spec_of(source)
        now = self._node.clock()
        sending: set[asyncio.Task[None]] = set()
        while moment := next_tick(spec["schedule"], spec.get("timezone") or "", now):
            await self._sleep_until(moment)
            now = max(moment, self._node.clock())
            task = asyncio.create_task(self._send(source))
            sending.add(task)
            task.add_done_callback(sending.discard)

    async def _sleep_until(self, moment: dt.datetime) -> None:
        """In steps, so that a clock that was set, or a machine that slept, moves the tick by an hour at most."""
        while True:
            left = (moment - self._node.clock()).total_seconds()
            if left <= 0:
                return
            await asyncio.sleep(min(left, _LONGEST_SLEEP))

    async def _send(self, source: Object) -> None:
        event = make_ping(source, str(uuid.uuid4()), micro_timestamp(self._node.clock()))
        reason = "its sink has no address"
        for attempt in range(_RETRIES + 1):
            sink = resolve(spec_of(source)["sink"], namespace_of(source), self._node.store.get)
            if sink.url:
                reply = await self._sender.post(sink.url, event, _TIMEOUT, {"kn-namespace": namespace_of(source)})
                if reply.accepted:
                    return
                reason = f"{reply.code} {reply.body[:200]!r}"
                if not may_retry(reply.code):
                    break
            await asyncio.sleep(_FIRST_WAIT * 2**attempt)
        log.warning("PingSource %s/%s lost a ping: %s", namespace_of(source), name_of(source), reason)

    async def close(self) -> None:
        """Stop all timers."""
        tasks = [task for _, task in self._timers.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
