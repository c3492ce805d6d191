"""The Eventing controllers: addresses and conditions of Brokers, Triggers and PingSources."""

from knative_embedded.control import eventing_status
from knative_embedded.control.hosts import Addresses
from knative_embedded.control.writer import Writer
from knative_embedded.eventing.sinks import resolve
from knative_embedded.kinds import BROKER, PING_SOURCE, TRIGGER, Kind
from knative_embedded.objects import Object, name_of, namespace_of, spec_of
from knative_embedded.pods.pod import Node


class EventingControllers:
    """Reconciles Brokers, Triggers and PingSources."""

    def __init__(self, node: Node, addresses: Addresses) -> None:
        self._store = node.store
        self._clock = node.clock
        self._addresses = addresses
        self._writer = Writer(node.store)

    async def reconcile_broker(self, broker: Object) -> None:
        """Its address, and its dead letter sink."""
        sink = resolve(_dead_letter_sink(broker), namespace_of(broker), self._store.get)
        status = eventing_status.make_broker_status(broker, sink, self._addresses, self._clock())
        await self._writer.write_status(BROKER, broker, status)

    async def reconcile_trigger(self, trigger: Object) -> None:
        """Its Broker, its subscriber, its dead letter sink."""
        namespace = namespace_of(trigger)
        broker = self._store.get(BROKER, namespace, spec_of(trigger)["broker"])
        subscriber = resolve(spec_of(trigger)["subscriber"], namespace, self._store.get)
        own_sink = _dead_letter_sink(trigger)
        sink = resolve(own_sink or (_dead_letter_sink(broker) if broker else None), namespace, self._store.get)
        status = eventing_status.make_trigger_status(trigger, broker, subscriber, sink, self._clock())
        await self._writer.write_status(TRIGGER, trigger, status)

    async def reconcile_ping_source(self, source: Object) -> None:
        """Its sink."""
        sink = resolve(spec_of(source)["sink"], namespace_of(source), self._store.get)
        await self._writer.write_status(
            PING_SOURCE, source, eventing_status.make_ping_source_status(source, sink, self._clock())
        )

    def dependants(self, _kind: Kind, thing: Object) -> list[tuple[Kind, str, str]]:
        """Who names `thing` as broker, subscriber or sink."""
        found = []
        for kind in (BROKER, TRIGGER, PING_SOURCE):
            for one in self._store.list(kind):
                spec = spec_of(one)
                destinations = [spec.get("subscriber"), spec.get("sink"), _dead_letter_sink(one)]
                names = {(item.get("ref") or {}).get("name") for item in destinations if item}
                if name_of(thing) in names | {spec.get("broker")}:
                    found.append((kind, namespace_of(one), name_of(one)))
        return found


def _dead_letter_sink(thing: Object) -> Object | None:
    sink: Object | None = (spec_of(thing).get("delivery") or {}).get("deadLetterSink")
    return sink
