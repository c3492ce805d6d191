"""A streaming HTTP proxy from a listener to a pod.

Promises: bodies flow both ways as they come, byte for byte (compressed ones, redirects and errors included); a client
that goes away ends the pod's work on its request, so that an abandoned stream keeps nobody awake.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
from starlette.types import Message, Receive, Scope, Send

from knative_embedded.web import headers


class PodUnreachable(Exception):
    """Nothing of an answer arrived; `retry` when the same request may be sent again."""

    def __init__(self, reason: str, *, retry: bool) -> None:
        super().__init__(reason)
        self.retry = retry


class ClientGone(Exception):
    """The client closed its connection."""


class RequestBody(httpx.AsyncByteStream):
    """A request's body as it arrives."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        self._finished = asyncio.Event()
        found = headers.end_to_end(scope["headers"])
        self.expected = headers.find(found, b"content-length") not in {b"", b"0"} or bool(
            headers.find(scope["headers"], b"transfer-encoding")
        )
        self.touched = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The chunks; raises ClientGone."""
        self.touched = self.expected
        while not self._finished.is_set():
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            if not message.get("more_body"):
                self._finished.set()
            if chunk := message.get("body"):
                yield chunk

    async def wait_gone(self) -> None:
        """Until the client has closed its connection."""
        if not self.expected:
            async for _ in self:
                pass
        await self._finished.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass


class Proxy:
    """The connections to pods."""

    def __init__(self) -> None:
        # A fresh connection for each request costs little on loopback, never meets one that its pod is just closing,
        # and spares servers that write headers and body apart the 40 ms of a delayed acknowledgement.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        self._transport = httpx.AsyncHTTPTransport(limits=limits)

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.aclose()

    async def forward(
        self, scope: Scope, body: RequestBody, send: Send, port: int, timeouts: tuple[float, float]
    ) -> None:
        """Pass one request on to a pod and its answer back.

        `timeouts` are the seconds to the first byte and to the end. Raises PodUnreachable or TimeoutError before, and
        ConnectionError after the answer has begun.
        """
        first_byte, whole = timeouts
        loop = asyncio.get_running_loop()
        ends = loop.time() + whole
        begun = False
        try:
            async with asyncio.timeout(min(first_byte, whole)) as limit:
                response = await self._ask(scope, body, port)
                begun = True
                limit.reschedule(ends)
                try:
                    await _answer(response, send)
                finally:
                    await response.aclose()
        except (httpx.TransportError, TimeoutError) as error:
            if begun:
                raise ConnectionError(str(error)) from None
            if isinstance(error, TimeoutError):
                raise
            raise PodUnreachable(str(error) or type(error).__name__, retry=not body.touched) from None

    async def _ask(self, scope: Scope, body: RequestBody, port: int) -> httpx.Response:
        target = scope["raw_path"] or b"/"
        if scope["query_string"]:
            target += b"?" + scope["query_string"]
        sent = headers.end_to_end(scope["headers"])
        client = (scope.get("client") or ("127.0.0.1", 0))[0]
        sent = headers.forwarded(sent, client, scope["scheme"])
        if headers.find(scope["headers"], b"transfer-encoding"):
            sent = [(name, value) for name, value in sent if name != b"content-length"]
            sent.append((b"transfer-encoding", b"chunked"))
        stream: httpx.AsyncByteStream = body if body.expected else httpx.ByteStream(b"")
        extensions: dict[str, Any] = {"target": target, "timeout": {"connect": 10.0, "pool": None}}
        request = httpx.Request(
            scope["method"], f"http://127.0.0.1:{port}/", headers=sent, stream=stream, extensions=extensions
        )
        return await self._transport.handle_async_request(request)


async def _answer(response: httpx.Response, send: Send) -> None:
    start: Message = {
        "type": "http.response.start",
        "status": response.status_code,
        "headers": headers.end_to_end(response.headers.raw),
    }
    await send(start)
    assert isinstance(response.stream, httpx.AsyncByteStream)
    async for chunk in response.stream:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def until_gone(body: RequestBody, exchange: "asyncio.Task[None]") -> None:
    """Run an exchange to its end, or until its client is gone. Raises what the exchange raises."""
    gone = asyncio.create_task(body.wait_gone())
    try:
        await asyncio.wait({exchange, gone}, return_when=asyncio.FIRST_COMPLETED)
        if exchange.done():
            await exchange
    finally:
        for task in (exchange, gone):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, ClientGone, Exception):
                await task
