"""A real HTTP server that speaks like BigPanDA's export: one gzip'ed tar in chunks, or whatever else it may answer."""

import contextlib
import http.server
import io
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from support.answering import answering

PATH = "/idds/downloadhpometrics/"


@dataclass
class ExportServer:
    """What it answers next, and what it was asked. `files` are served by their path, `moved` are redirects."""

    port: int = 0
    content: bytes = b""
    content_type: str = "application/x-gzip"
    status: int = 200
    cut_at: int | None = None
    files: dict[str, bytes] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)

    def uri(self, task: int, host: str = "localhost") -> str:
        return f"http://{host}:{self.port}{PATH}?workloadid={task}"

    def export(self, tarballs: Iterable[tuple[str, bytes]]) -> None:
        """Answer with these tarballs, in this order, from now on."""
        self.content = pack_export(tarballs)


def pack_export(tarballs: Iterable[tuple[str, bytes]], *others: tarfile.TarInfo) -> bytes:
    """A .tar.gz of tarballs in a folder, and members without content."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        for name, content in tarballs:
            info = tarfile.TarInfo(f"metrics/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for other in others:
            archive.addfile(other)
    return target.getvalue()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_PROPFIND(self) -> None:
        """It is no WebDAV server; what was sent is not read."""
        self.server.state.asked.append(f"{self.command} {self.path}")
        self.server.state.headers.append(dict(self.headers.items()))
        self.close_connection = True
        self._say(501, {"Content-Length": "0", "Connection": "close"})

    def _answer(self, *, with_body: bool) -> None:
        state = self.server.state
        state.asked.append(f"{self.command} {self.path}")
        state.headers.append(dict(self.headers.items()))
        path = urlsplit(self.path).path
        if path in state.moved:
            self._say(302, {"Location": state.moved[path], "Content-Length": "0"})
        elif path in state.files:
            self._say(200, {"Content-Length": str(len(state.files[path]))})
            self.wfile.write(state.files[path] if with_body else b"")
        else:
            self._say(state.status, {"Content-Type": state.content_type, "Transfer-Encoding": "chunked"})
            self._send_chunks(state.content[: state.cut_at], is_whole=state.cut_at is None)

    def _say(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _send_chunks(self, content: bytes, *, is_whole: bool) -> None:
        for start in range(0, len(content), 65536):
            chunk = content[start : start + 65536]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        if is_whole:
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Nothing: pytest shows what failed."""


class _Server(http.server.ThreadingHTTPServer):
    def __init__(self, state: ExportServer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.state = state

    def handle_error(self, *_: Any) -> None:
        """Nothing: who asks may hang up whenever he has seen enough."""


@contextlib.contextmanager
def export_server() -> Iterator[ExportServer]:
    """The server, until the context ends."""
    state = ExportServer()
    with answering(_Server(state)) as server:
        state.port = server.server_port
        yield state
