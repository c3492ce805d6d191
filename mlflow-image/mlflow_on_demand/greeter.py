"""Listens before anything else is there, and answers what it can, until the application takes its connections over.

Importing the application (asyncio, uvicorn, Starlette) is most of what stands between the start of a wake and its
first byte. Meanwhile a thread a connection looks at each request without taking it off the socket: what `greetings`
can answer is answered, now or in a moment; with anything else the socket waits, untouched, for whoever can. Light to
import.
"""

import contextlib
import os
import select
import socket
import time
from collections.abc import Callable
from threading import Lock, Thread

from mlflow_on_demand.greetings import Greeting, Greetings, NotYet

Adopt = Callable[[socket.socket], None]

_IDLE_SECONDS = 5.0
# A browser on a slow link takes what it is sent little by little; one that takes nothing for so long is gone.
_STALLED_SECONDS = 60.0
_SOON = 0.002
_MAX_HEAD = 16 * 1024
_MAX_THREADS = 64
_BACKLOG = 2048


def listen(host: str, port: int) -> socket.socket:
    """A socket that connections can be made to from now on; OSError if the address is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=_BACKLOG)


class Greeter:
    """Serves the connections of one listening socket until somebody takes over."""

    def __init__(self, listener: socket.socket, greetings: Greetings) -> None:
        self._listener = listener
        self._greetings = greetings
        self._lock = Lock()
        self._adopt: Adopt | None = None
        self._held: list[socket.socket] = []
        self._threads = 0
        self._over, self._tell_over = os.pipe()

    def start(self) -> None:
        """Begin; returns at once."""
        Thread(target=self._accept, daemon=True, name="greeter").start()

    def hand_over(self, adopt: Adopt) -> None:
        """From now on accept nothing, and give each connection to `adopt` with its next request still to be read."""
        with self._lock:
            self._adopt = adopt
            held, self._held = self._held, []
        os.close(self._tell_over)
        for connection in held:
            adopt(connection)

    def _accept(self) -> None:
        while self._over not in select.select([self._listener.fileno(), self._over], [], [])[0]:
            # The connection may be gone again, or the application may have been quicker.
            with contextlib.suppress(OSError):
                connection, _ = self._listener.accept()
                self._begin(connection)
        os.close(self._over)

    def _begin(self, connection: socket.socket) -> None:
        connection.settimeout(_IDLE_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._threads >= _MAX_THREADS:
            self._pass_on(connection)
            return
        self._threads += 1
        Thread(target=self._serve, args=(connection,), daemon=True, name="greeted").start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            while received := connection.recv(_MAX_HEAD, socket.MSG_PEEK):
                greeting = self._find(received)
                if greeting is None:
                    self._pass_on(connection)
                    return
                connection.recv(greeting.asked)
                _send(connection, greeting.response)
        except OSError:  # gone, or idle for too long
            pass
        connection.close()

    def _find(self, received: bytes) -> Greeting | None:
        while self._adopt is None:
            try:
                return self._greetings.find(received)
            except NotYet:
                time.sleep(_SOON)
        return None

    def _pass_on(self, connection: socket.socket) -> None:
        connection.settimeout(0)
        with self._lock:
            adopt = self._adopt
            if adopt is None:
                self._held.append(connection)
        if adopt is not None:
            adopt(connection)


def _send(connection: socket.socket, response: bytes) -> None:
    # Not `sendall`, whose time is that of the whole.
    connection.settimeout(_STALLED_SECONDS)
    left = memoryview(response)
    while left:
        left = left[connection.send(left) :]
    connection.settimeout(_IDLE_SECONDS)
