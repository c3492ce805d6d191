"""The cluster-local listener: Services by their cluster-local names, and the brokers' ingress.

Any other Host is answered 404: a page in the user's browser can make names of its own resolve to this address, but it
cannot choose the Host header.
"""

from starlette.types import ASGIApp, Receive, Scope, Send

from knative_embedded import labels
from knative_embedded.kinds import ROUTE
from knative_embedded.state.index import HOST
from knative_embedded.state.store import Store
from knative_embedded.web import headers, pages
from knative_embedded.web.gateway import Gateway, refuse
from knative_embedded.web.routing import find_route, parse_local_host, strip_port

BROKER_HOSTS = {labels.BROKER_HOST, "127.0.0.1", "localhost", "[::1]"}


class Internal:
    """ASGI application of the internal listener."""

    def __init__(self, store: Store, gateway: Gateway, brokers: ASGIApp) -> None:
        self._store = store
        self._gateway = gateway
        self._brokers = brokers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        host = headers.find(scope["headers"], b"host").decode("latin-1")
        if strip_port(host) in BROKER_HOSTS:
            await self._brokers(scope, receive, send)
            return
        named = parse_local_host(host)
        routes = self._store.list(ROUTE, named.namespace, (HOST, named.label)) if named else []
        found = find_route(named.label, routes) if named else None
        if found is None:
            await refuse(scope, send, 404, "NotFound", pages.unknown(strip_port(host)))
        else:
            await self._gateway.serve(scope, receive, send, found)
