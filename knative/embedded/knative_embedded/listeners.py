"""Loopback listeners: sockets bound before anything starts, and ASGI servers on them.

Promise: a port that is taken is reported with the flag that chooses another.
"""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp


class PortTaken(Exception):
    """A listener's port cannot be had."""


def bind(port: int, flag: str) -> socket.socket:
    """A listening socket on 127.0.0.1; port 0 picks a free one. Raises PortTaken."""
    # The protocol must be said: only then does asyncio switch Nagle's algorithm off, which holds back the second packet
    # of an answer on a used connection for the client's delayed acknowledgement, 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        why = error.strerror or str(error)
        raise PortTaken(f"cannot listen on 127.0.0.1:{port} ({why}): choose another port with {flag}") from None
    listener.setblocking(False)  # noqa: FBT003
    return listener


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: the runtime decides when to stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


class Listener:
    """One ASGI application on one socket."""

    def __init__(self, app: ASGIApp, listener: socket.socket, tls: Path | None = None) -> None:
        self._socket = listener
        config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=tls is not None,
            proxy_headers=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=2,
            h11_max_incomplete_event_size=256 * 1024,
            ssl_certfile=tls / "server.pem" if tls else None,
            ssl_keyfile=tls / "server-key.pem" if tls else None,
        )
        self._server = _Server(config)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Until connections are accepted."""
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        while not self._server.started and not self._task.done():  # noqa: ASYNC110 (uvicorn has no event for it)
            await asyncio.sleep(0.01)
        if self._task.done():
            await self._task

    async def stop(self) -> None:
        """Accept no more, and end what is open after two seconds."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task
        self._socket.close()
