"""The brokers' ingress: events in over HTTP, into the durable queue.

Promise: 202 means committed to disk, with a delivery for every Trigger that wants the event.
Source of the statuses: knative/eventing pkg/broker/ingress/ingress_handler.go.
"""

import sqlite3
import time
from collections.abc import Callable, Iterable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from knative_embedded.eventing.cloudevents import Event, NotAnEvent, parse_event
from knative_embedded.eventing.filters import matches
from knative_embedded.eventing.queue import Publication, Recipient, publish
from knative_embedded.kinds import BROKER, TRIGGER
from knative_embedded.objects import micro_timestamp, name_of, namespace_of, spec_of, uid_of
from knative_embedded.pods.pod import Node

MAX_EVENT = 1024 * 1024
TTL = 255
TTL_ATTRIBUTE = "knativebrokerttl"
"""How often replies may still beget replies: on a dead letter it is seen, and counts when the letter is posted anew."""


class Refused(Exception):
    """A request that is not even read."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Brokers:
    """ASGI application behind the brokers' addresses: POST /<namespace>/<broker>."""

    def __init__(self, node: Node, arrived: Callable[[str], None]) -> None:
        self._store = node.store
        self._database = node.database
        self._clock = node.clock
        self._arrived = arrived

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except ClientDisconnect:
            return
        response.headers["Allow"] = "POST, OPTIONS"
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(status_code=200)
        try:
            namespace, name = _parse_target(request)
            event = parse_event(_decode(request.headers.raw), await _read(request))
            ttl = _parse_ttl(event)
        except NotAnEvent as error:
            return JSONResponse({"error": str(error)}, 400)
        except Refused as error:
            return JSONResponse({"error": str(error)}, error.status)
        if self._store.get(BROKER, namespace, name) is None:
            return JSONResponse({"error": f'broker "{name}" not found in namespace "{namespace}"'}, 404)
        await self.accept(namespace, name, event, ttl)
        return Response(status_code=202)

    async def accept(self, namespace: str, broker: str, event: Event, ttl: int) -> None:
        """Commit an event to a Broker, and wake the deliveries."""
        publication = self.address(namespace, broker, event, ttl)

        def save(connection: sqlite3.Connection) -> None:
            publish(connection, publication, time.time())

        await self._database.run(save)
        self.announce(publication)

    def address(self, namespace: str, broker: str, event: Event, ttl: int) -> Publication:
        """The event with the Triggers that want it, as they are now."""
        stamped = event.without(TTL_ATTRIBUTE).extended({"knativearrivaltime": micro_timestamp(self._clock())})
        recipients = [
            Recipient(namespace_of(trigger), name_of(trigger), uid_of(trigger))
            for trigger in self._store.list(TRIGGER, namespace)
            if spec_of(trigger)["broker"] == broker and matches(trigger, event)
        ]
        return Publication(namespace, broker, stamped, ttl, recipients)

    def announce(self, publication: Publication) -> None:
        """Tell the dispatchers of a committed publication."""
        for recipient in publication.recipients:
            self._arrived(recipient.uid)


def _parse_target(request: Request) -> tuple[str, str]:
    """Namespace and name of the Broker. Raises Refused."""
    if request.method != "POST":
        raise Refused(405, "events are sent by POST")
    parts = request.url.path.strip("/").split("/")
    if len(parts) != 2:
        raise Refused(404 if parts == [""] else 400, "the path of a broker is /<namespace>/<broker>")
    return parts[0], parts[1]


def _decode(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("utf-8", "replace")) for name, value in headers]


def _parse_ttl(event: Event) -> int:
    """What is left of an event's time to live, one less than it says. Raises NotAnEvent when that is none."""
    said = event.attributes.get(TTL_ATTRIBUTE, "")
    left = int(said) - 1 if said.isdecimal() else TTL
    if left < 1:
        raise NotAnEvent(f"attribute {TTL_ATTRIBUTE} is used up")
    return left


async def _read(request: Request) -> bytes:
    """The body. Raises Refused when it is over the limit."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_EVENT:
            raise Refused(413, f"an event may have at most {MAX_EVENT} bytes")
    return bytes(body)
