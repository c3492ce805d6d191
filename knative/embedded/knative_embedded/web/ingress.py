"""The public listener: hosts under the domain, for browsers and everybody else."""

from starlette.types import Receive, Scope, Send

from knative_embedded.control.hosts import is_cluster_local
from knative_embedded.kinds import ROUTE
from knative_embedded.state.index import HOST
from knative_embedded.state.store import Store
from knative_embedded.state.tombstones import Tombstones
from knative_embedded.web import headers, pages
from knative_embedded.web.gateway import Gateway, refuse
from knative_embedded.web.routing import find_route, parse_public_host, strip_port


class Ingress:
    """ASGI application of the ingress listener."""

    def __init__(self, store: Store, gateway: Gateway, tombstones: Tombstones, domain: str) -> None:
        self._store = store
        self._gateway = gateway
        self._tombstones = tombstones
        self._domain = domain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        host = headers.find(scope["headers"], b"host").decode("latin-1")
        named = parse_public_host(host, self._domain)
        routes = self._store.list(ROUTE, named.namespace, (HOST, named.label)) if named else []
        found = find_route(named.label, routes) if named else None
        if found is not None and not is_cluster_local(found[0]):
            await self._gateway.serve(scope, receive, send, found)
            return
        when = await self._tombstones.find(named.namespace, named.label) if named and not found else None
        if when:
            await refuse(scope, send, 404, "Ended", pages.ended(when))
        else:
            await refuse(scope, send, 404, "NotFound", pages.unknown(strip_port(host)))
