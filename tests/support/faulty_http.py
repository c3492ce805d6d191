"""A proxy between a store and its client that does what networks and servers do on a bad day, by a plan.

Requests go on as they came, their `Host` too, so signatures hold. Each fault is for the next request of its method (and
path), and is used up by it.
"""

import http.client
import socket
import struct
import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from support.answering import answering

_HOP = {"connection", "keep-alive", "transfer-encoding"}


@dataclass(frozen=True)
class Fault:
    """What is done to one answer: a `status` instead of it, a connection that ends (`cut`) or is reset (`reset`) behind
    so many bytes of its body, the byte there turned round (`flip`), or a pause of `drip` seconds before each byte.
    """

    status: int | None = None
    cut: int | None = None
    reset: int | None = None
    flip: int | None = None
    drip: float | None = None
    method: str = "GET"
    path: str = ""
    """A part of the path that it is for."""


@dataclass
class FaultyHttp:
    """The running proxy; `seen` are the methods, paths and headers of the requests that came."""

    address: str
    plan: deque[Fault] = field(default_factory=deque)
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    def expect(self, *faults: Fault) -> None:
        """Plan these, in this order, and forget what was seen."""
        self.seen.clear()
        self.plan.clear()
        self.plan.extend(faults)

    def count(self, method: str) -> int:
        """How many requests of a method came since."""
        return sum(1 for one, _, _ in self.seen if one == method)


@contextmanager
def faulty_http(target: str) -> Iterator[FaultyHttp]:
    """A proxy before the server at `http://host:port`."""
    host = target.removeprefix("http://")

    class Handler(_Handler):
        upstream = host

    server = _Server(("127.0.0.1", 0), Handler)
    proxy = Handler.proxy = FaultyHttp(f"http://127.0.0.1:{server.server_port}")
    with answering(server):
        yield proxy


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: object) -> None:
        """Nothing: that clients go away is what happens here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    upstream: str
    proxy: FaultyHttp

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._pass_on
        raise AttributeError(name)

    def _pass_on(self) -> None:
        body = self._body()
        self.proxy.seen.append((self.command, self.path, dict(self.headers)))
        plan = self.proxy.plan
        is_next = plan and plan[0].method == self.command and plan[0].path in self.path
        fault = plan.popleft() if is_next else Fault()
        if fault.status is not None:
            self.send_response(fault.status)
            self.send_header("Content-Length", "0")
            self._end_headers()
            return
        with closing(http.client.HTTPConnection(self.upstream, timeout=30)) as upstream:
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in _HOP | {"content-length"}:
                    upstream.putheader(name, value)
            upstream.putheader("Content-Length", str(len(body)))
            upstream.endheaders(body)
            answer = upstream.getresponse()
            content = answer.read()
            self._reply(answer, content, fault)

    def _body(self) -> bytes:
        if self.headers.get("Expect") == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _reply(self, answer: http.client.HTTPResponse, content: bytes, fault: Fault) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _HOP | {"content-length"}:
                self.send_header(name, value)
        length = answer.headers.get("Content-Length") if self.command == "HEAD" else str(len(content))
        self.send_header("Content-Length", length or "0")
        self._end_headers()
        self._send(content, fault)

    def _end_headers(self) -> None:
        if self.close_connection:  # as the client asked for
            self.send_header("Connection", "close")
        self.end_headers()

    def _send(self, content: bytes, fault: Fault) -> None:
        if fault.flip is not None:
            content = content[: fault.flip] + bytes([content[fault.flip] ^ 1]) + content[fault.flip + 1 :]
        ends = fault.cut if fault.cut is not None else fault.reset
        if fault.drip is not None:
            for byte in content:
                time.sleep(fault.drip)
                self.wfile.write(bytes([byte]))
            return
        self.wfile.write(content[:ends])
        if ends is None:
            return
        self.close_connection = True
        if fault.reset is not None:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def log_message(self, *_: object) -> None:
        """Nothing: pytest shows what failed."""
