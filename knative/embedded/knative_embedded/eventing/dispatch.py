"""Deliveries: from the durable queue to subscribers and dead letter sinks, at least once.

One worker for each Trigger, each with a few attempts under way. A row leaves the queue only when its outcome is
committed, so a crash at any moment delivers again.
Source of the rules: knative/eventing pkg/broker/filter/filter_handler.go, pkg/kncloudevents.
"""

import asyncio
import base64
import logging
import sqlite3
import time
from collections.abc import Mapping

from knative_embedded.eventing import queue
from knative_embedded.eventing.backoff import Delivery, may_retry, parse_delivery, wait_before
from knative_embedded.eventing.broker import TTL_ATTRIBUTE, Brokers
from knative_embedded.eventing.cloudevents import Event, NotAnEvent, is_event, parse_event
from knative_embedded.eventing.queue import DeadLetter, Pending, Phase
from knative_embedded.eventing.sender import Reply, Sender
from knative_embedded.eventing.sinks import resolve
from knative_embedded.kinds import BROKER, TRIGGER
from knative_embedded.objects import Object, namespace_of, spec_of, timestamp, uid_of
from knative_embedded.pods.pod import Node
from knative_embedded.state.history import Change

log = logging.getLogger(__name__)

CONCURRENCY = 8
ERROR_DATA_MAX = 1024
_NOT_AN_EVENT = "received a non-empty response not recognized as CloudEvent"


class Dispatcher:
    """Delivers what the Brokers have accepted."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._brokers = Brokers(node, self.wake)
        self._sender: Sender | None = None
        self._workers: dict[str, asyncio.Task[None]] = {}
        self._wakes: dict[str, asyncio.Event] = {}
        self._busy: dict[str, set[int]] = {}
        self._attempts: set[asyncio.Task[None]] = set()

    @property
    def brokers(self) -> Brokers:
        """The way in."""
        return self._brokers

    async def start(self, sender: Sender) -> None:
        """Take up what an earlier run left; deliveries of Triggers that are gone are dropped."""
        self._sender = sender
        known = {uid_of(trigger): trigger for trigger in self._node.store.list(TRIGGER)}
        for uid in await self._node.database.run(queue.list_trigger_uids):
            if uid not in known:
                await self._drop(uid)
        for uid in known:
            self.wake(uid)

    async def observe(self, change: Change) -> None:
        """Follow the Triggers: a changed one may deliver better now, a deleted one gets nothing more."""
        if change.kind is not TRIGGER:
            return
        uid = uid_of(change.last)
        if change.after is not None:
            self.wake(uid)
            return
        worker = self._workers.pop(uid, None)
        if worker is not None:
            worker.cancel()
        await self._drop(uid)

    async def _drop(self, uid: str) -> None:
        await self._node.database.run(lambda connection: queue.drop_trigger(connection, uid))

    def wake(self, uid: str) -> None:
        """Something may be due for a Trigger."""
        self._wakes.setdefault(uid, asyncio.Event()).set()
        if uid not in self._workers and self._sender is not None:
            self._workers[uid] = asyncio.create_task(self._work(uid))

    async def _work(self, uid: str) -> None:
        """Deliver what is due, sleep until more is, for ever."""
        busy, woken = self._busy.setdefault(uid, set()), self._wakes[uid]
        while True:
            woken.clear()
            now = time.time()
            due, later = await self._look(uid, now, CONCURRENCY + len(busy))
            for pending in due:
                if pending.id not in busy and len(busy) < CONCURRENCY:
                    busy.add(pending.id)
                    task = asyncio.create_task(self._attempt(pending, busy, woken))
                    self._attempts.add(task)
                    task.add_done_callback(self._attempts.discard)
            try:
                await asyncio.wait_for(woken.wait(), None if later is None else max(later - time.time(), 0.001))
            except TimeoutError:
                continue

    async def _look(self, uid: str, now: float, limit: int) -> tuple[list[Pending], float | None]:
        def read(connection: sqlite3.Connection) -> tuple[list[Pending], float | None]:
            return queue.list_due(connection, uid, now, limit), queue.next_due(connection, uid, now)

        return await self._node.database.run(read)

    async def _attempt(self, pending: Pending, busy: set[int], woken: asyncio.Event) -> None:
        try:
            await self._deliver(pending)
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("delivery %d failed in the runtime itself", pending.id)
            await asyncio.sleep(1)
        finally:
            busy.discard(pending.id)
            woken.set()

    async def _deliver(self, pending: Pending) -> None:
        where = pending.recipient
        trigger = self._node.store.get(TRIGGER, where.namespace, where.name)
        if trigger is None or uid_of(trigger) != where.uid:
            await self._drop(where.uid)
            return
        broker = self._node.store.get(BROKER, where.namespace, spec_of(trigger)["broker"])
        broker_spec = (spec_of(broker) if broker else {}).get("delivery")
        delivery = parse_delivery(spec_of(trigger).get("delivery"), broker_spec)
        if pending.phase is Phase.DEAD_LETTER:
            await self._deliver_dead_letter(pending, trigger, broker, delivery)
            return
        target = resolve(spec_of(trigger)["subscriber"], namespace_of(trigger), self._node.store.get)
        reply = (
            await self._post(target.url, pending.event, delivery, where.namespace, {"prefer": "reply"})
            if target.url
            else Reply(404, [], target.problem.encode())
        )
        answer, reply = _read_answer(reply)
        if reply.accepted:
            await self._finish(pending, answer)
        else:
            await self._retry_or_bury(pending, delivery, reply, target.url)

    async def _post(
        self, url: str, event: Event, delivery: Delivery, namespace: str, extra: Mapping[str, str]
    ) -> Reply:
        assert self._sender is not None
        return await self._sender.post(url, event, delivery.timeout, {"kn-namespace": namespace, **extra})

    async def _finish(self, pending: Pending, answer: Event | None) -> None:
        """Commit the end of a delivery together with the event that answered it."""
        publication = None
        if answer is not None and pending.ttl > 1:
            publication = self._brokers.address(pending.recipient.namespace, pending.broker, answer, pending.ttl - 1)

        def save(connection: sqlite3.Connection) -> None:
            queue.finish(connection, pending)
            if publication is not None:
                queue.publish(connection, publication, time.time())

        await self._node.database.run(save)
        if publication is not None:
            self._brokers.announce(publication)

    async def _retry_or_bury(self, pending: Pending, delivery: Delivery, reply: Reply, url: str) -> None:
        wait = wait_before(delivery, pending.attempts + 1) if may_retry(reply.code) else None
        if wait is not None:
            due = time.time() + wait
            await self._node.database.run(lambda connection: queue.postpone(connection, pending, due))
            return
        failure = make_failure(url, reply)
        log.warning(
            "event %s for trigger %s/%s ended as a dead letter: %d %r",
            pending.event.attributes["id"],
            pending.recipient.namespace,
            pending.recipient.name,
            reply.code,
            reply.body[:200],
        )
        await self._node.database.run(
            lambda connection: queue.turn_to_dead_letter(connection, pending, failure, time.time())
        )

    async def _deliver_dead_letter(
        self, pending: Pending, trigger: Object, broker: Object | None, delivery: Delivery
    ) -> None:
        """To the Trigger's dead letter sink, else the Broker's; either way the letter is kept."""
        sink = next((one for one in (_sink_of(trigger), _sink_of(broker)) if one), None)
        target = resolve(sink, namespace_of(trigger), self._node.store.get)
        outcome = "no dead letter sink"
        if sink:
            event = pending.event.extended({TTL_ATTRIBUTE: str(pending.ttl), **pending.failure})
            reply = (
                await self._post(target.url, event, delivery, namespace_of(trigger), {})
                if target.url
                else Reply(404, [], target.problem.encode())
            )
            wait = wait_before(delivery, pending.attempts + 1) if may_retry(reply.code) else None
            if not reply.accepted and wait is not None:
                due = time.time() + wait
                await self._node.database.run(lambda connection: queue.postpone(connection, pending, due))
                return
            outcome = "delivered" if reply.accepted else f"refused: {reply.code}"
        letter = DeadLetter(timestamp(self._node.clock()), target.url, outcome)

        def save(connection: sqlite3.Connection) -> None:
            queue.bury(connection, pending, letter)
            queue.finish(connection, pending)

        await self._node.database.run(save)

    async def close(self) -> None:
        """Stop; what is under way is delivered again by the next run."""
        tasks = [*self._workers.values(), *self._attempts]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _sink_of(thing: Object | None) -> Object | None:
    sink: Object | None = (spec_of(thing or {}).get("delivery") or {}).get("deadLetterSink")
    return sink


def _read_answer(reply: Reply) -> tuple[Event | None, Reply]:
    """The event in an accepted answer; an answer that is neither empty nor an event counts as 502."""
    if not reply.accepted:
        return None, reply
    if not is_event(reply.headers):
        return None, Reply(502, [], _NOT_AN_EVENT.encode(), ours=True) if reply.body else reply
    try:
        return parse_event(reply.headers, reply.body), reply
    except NotAnEvent as error:
        return None, Reply(502, [], str(error).encode(), ours=True)


def make_failure(url: str, reply: Reply) -> dict[str, str]:
    """The extensions by which a dead letter says why: data is base64, cut at 1024 characters.

    Of an answer that was no event they say nothing, as in Knative: its filter answers the channel with an empty 502.
    Source: knative/eventing pkg/kncloudevents/event_dispatcher.go and attributes/knative_error.go.
    """
    if reply.ours:
        return {}
    return {
        "knativeerrordest": url,
        "knativeerrorcode": str(reply.code or 500),
        "knativeerrordata": base64.b64encode(reply.body).decode()[:ERROR_DATA_MAX],
    }
