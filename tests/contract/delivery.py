"""A Broker, and a Service that gets its events: what the tests of delivery share on both clusters.

Promise: the tests speak to a Broker from inside its cluster, by the address that its status names, and read over HTTP
what has been delivered. Each event has an id of its own, so that tests can share one Broker.
"""

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from contract.kit import BROKERS, PING_SOURCES, SCALING, TRIGGERS, Home, Object, eventually

EVENTING = "eventing.knative.dev/v1"
BRISK = {"backoffPolicy": "linear", "backoffDelay": "PT0.2S"}
AWAKE = {f"{SCALING}/min-scale": "1", f"{SCALING}/max-scale": "1"}
"""One pod, always the same: it remembers what came."""
PROBE = {"readinessProbe": {"httpGet": {"path": "/"}, "periodSeconds": 1}}

_numbers = itertools.count(1)


def make_broker(name: str, **spec: Any) -> Object:
    """A Broker with the cluster's defaults for what is not said."""
    made: Object = {"apiVersion": EVENTING, "kind": "Broker", "metadata": {"name": name}}
    return made | ({"spec": spec} if spec else {})


def make_trigger(name: str, subscriber: Object, **spec: Any) -> Object:
    """A Trigger of the Broker `default`, where nothing else is said."""
    whole = {"broker": "default", "subscriber": subscriber} | spec
    return {"apiVersion": EVENTING, "kind": "Trigger", "metadata": {"name": name}, "spec": whole}


def make_ping(name: str, sink: Object, **spec: Any) -> Object:
    """A PingSource."""
    metadata = {"name": name}
    source = {"apiVersion": "sources.knative.dev/v1", "kind": "PingSource", "metadata": metadata}
    return source | {"spec": {"sink": sink, **spec}}


def refer(kind: str, name: str, path: str = "") -> Object:
    """A destination: a Service or a Broker, and a path there."""
    version = EVENTING if kind == "Broker" else "serving.knative.dev/v1"
    return {"ref": {"apiVersion": version, "kind": kind, "name": name}} | ({"uri": path} if path else {})


class Station:
    """A namespace with the Broker `default` and the Service `receiver`."""

    def __init__(self, home: Home) -> None:
        self.home = home
        home.create(BROKERS, make_broker("default"))
        home.serve("receiver", annotations=AWAKE, container=PROBE)
        self.broker = self.find_broker("default")

    def find_broker(self, name: str) -> str:
        """The address of a Broker, once it is ready."""
        return str(self.home.await_ready(BROKERS, name)["status"]["address"]["url"])

    def at(self, path: str) -> Object:
        """The receiver as a destination; see there what a path tells it to answer."""
        return refer("Service", "receiver", path)

    def url(self, path: str) -> str:
        """The receiver's address inside its cluster."""
        return f"http://receiver.{self.home.namespace}.svc.cluster.local{path}"

    def make_id(self) -> str:
        """A name that nothing here had before."""
        return f"made-{next(_numbers)}"

    def subscribe(self, path: str, wanted: Mapping[str, str], **spec: Any) -> str:
        """The name of a new Trigger that is ready, for the events with these attributes."""
        name = f"trigger-{next(_numbers)}"
        kept: Object = {"filter": {"attributes": dict(wanted)}}
        self.home.create(TRIGGERS, make_trigger(name, self.at(path), **kept | spec))
        self.home.await_ready(TRIGGERS, name)
        return name

    def ping(self, name: str, sink: Object, **spec: Any) -> None:
        """A PingSource that is ready."""
        self.home.create(PING_SOURCES, make_ping(name, sink, **spec))
        self.home.await_ready(PING_SOURCES, name)

    def post(self, headers: Mapping[str, str], body: bytes = b"", to: str = "", method: str = "POST") -> httpx.Response:
        """What the Broker, or another URL in the cluster, says to a request from a pod."""
        params = {"to": to or self.broker, "method": method}
        answer = self.home.fetch("receiver", "/send", "POST", params=params, headers=dict(headers), content=body)
        assert answer.headers["x-said"] == "there", answer.text
        return answer

    def publish(self, kind: str, to: str = "", **attributes: str) -> str:
        """The id of a new event that the Broker took."""
        identity = self.make_id()
        headers = make_headers(id=identity, type=kind, **attributes)
        answer = self.post(headers | {"content-type": "application/json"}, b'{"a": 1}', to)
        assert answer.status_code == 202, answer.text
        return identity

    def all_events(self) -> list[Object]:
        """All deliveries so far, in their order."""
        found: list[Object] = json.loads(self.home.fetch("receiver", "/events").content)
        return found

    def events(self, identity: str) -> list[Object]:
        """All deliveries so far of the event with this id."""
        return [one for one in self.all_events() if one["headers"].get("ce-id") == identity]

    def await_paths(self, identity: str, *paths: str) -> list[Object]:
        """The deliveries of an event once it has come to all these paths, so often, in whatever order."""

        def look() -> list[Object] | None:
            found = self.events(identity)
            return found if contains(paths_of(found), paths) else None

        return eventually(look)


def make_headers(**attributes: str) -> dict[str, str]:
    """An event in binary mode; an attribute that is empty is left out."""
    whole = {"specversion": "1.0", "id": "1", "source": "/contract", "type": "contract"} | attributes
    return {f"ce-{name}": value for name, value in whole.items() if value}


def paths_of(events: Sequence[Object]) -> list[str]:
    """Where events were delivered."""
    return [one["path"] for one in events]


def contains(paths: list[str], wanted: Sequence[str]) -> bool:
    """Whether all wanted paths are there, one that is wanted twice twice."""
    return all(paths.count(one) >= wanted.count(one) for one in wanted)


def carried(event: Object) -> dict[str, str]:
    """The part of a delivery's headers that the event and its data make, by name."""
    return {
        name: value
        for name, value in event["headers"].items()
        if (name.startswith("ce-") and name != "ce-knativearrivaltime") or name == "content-type"
    }
