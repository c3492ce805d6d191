"""Events out over HTTP: to URLs anywhere, and to cluster-local names through the runtime's own routing.

Promise: one POST is one attempt; what came back is described, never raised.
"""

import asyncio
import dataclasses
from collections.abc import Iterable, Mapping

import httpx
from starlette.types import ASGIApp

from knative_embedded.eventing.cloudevents import Event, render_binary

_LOCAL = ("all://*.svc.cluster.local", "all://*.svc")
MAX_REPLY = 1024 * 1024


@dataclasses.dataclass(frozen=True)
class Reply:
    """An answer: `code` 0 means that none came, and `body` then says why."""

    code: int
    headers: list[tuple[str, str]]
    body: bytes
    ours: bool = False
    """Whether this stands for an answer that was 2xx but cannot be taken."""

    @property
    def accepted(self) -> bool:
        """Whether the receiver took the event."""
        return 200 <= self.code < 300


class Sender:
    """An HTTP client that knows the cluster-local names."""

    def __init__(self, internal: ASGIApp) -> None:
        local = httpx.ASGITransport(internal, raise_app_exceptions=False)
        mounts: dict[str, httpx.AsyncBaseTransport | None] = dict.fromkeys(_LOCAL, local)
        self._client = httpx.AsyncClient(mounts=mounts, trust_env=False, follow_redirects=False, timeout=None)  # noqa: S113

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def post(self, url: str, event: Event, within: float, extra: Mapping[str, str]) -> Reply:
        """Send an event in binary mode and read the answer, bounded by `within` seconds."""
        headers, body = render_binary(event)
        try:
            async with asyncio.timeout(within):
                response = await self._client.post(url, content=body, headers=_encode([*headers, *extra.items()]))
        except TimeoutError:
            return Reply(0, [], f"no answer within {within:g} s".encode())
        except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
            return Reply(0, [], f"dispatch error: {error or type(error).__name__}".encode())
        return Reply(response.status_code, list(response.headers.items()), response.content[:MAX_REPLY])


def _encode(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers]
