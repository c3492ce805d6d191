"""What can be said before the application is there: MLflow's page, its compressed files, that the process lives; and,
once the wake knows them, our script in the page and what was recorded.

Exactly what `task_app` would answer (`/health` is shorter), and only to requests as browsers and probes commonly send
them; with any other `greeter` waits for the application. Light to import, since a wake begins here.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlflow_on_demand.gate import Gate
from mlflow_on_demand.negotiation import IDENTITY, choose_encoding
from mlflow_on_demand.ui_pack import UiPack
from mlflow_on_demand.ui_page import PAGE, SCRIPT_PATH
from mlflow_on_demand.ui_replies import EVERY_ANSWER, UNCACHED, ui_headers

if TYPE_CHECKING:
    from mlflow_on_demand.stage import Progress

_END = b"\r\n\r\n"
_FILES = "/static-files/"
_API = "/ajax-api/"
_STARTING = b'{"stage":"starting"}'
# Whoever sends one of these wants more than the whole of a fresh file, or sends more than is here.
_UNUSUAL = frozenset(
    {
        *("authorization", "expect", "range", "transfer-encoding", "upgrade"),
        *("if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since"),
    }
)


class NotYet(Exception):
    """The answer depends on what the wake will find out in a moment."""


@dataclass(frozen=True)
class Greeting:
    """A whole response, and the length of the request that it answers."""

    asked: int
    response: bytes = field(repr=False)


class Greetings:
    """The answers of one task's server."""

    def __init__(self, gate: Gate, pack: UiPack) -> None:
        self._gate = gate
        self._pack = pack
        self._progress: Progress | None = None

    def follow(self, progress: "Progress") -> None:
        """From now on the wake's progress is known."""
        self._progress = progress

    def find(self, received: bytes) -> Greeting | None:
        """The answer to the request that `received` begins with, or None: it is incomplete, or not for us.

        Raises NotYet where asking again in a moment may give another.
        """
        end = received.find(_END)
        if end < 0:
            return None
        method, path, headers = _parse(received[:end])
        length = headers.get("content-length", "0")
        body = received[end + len(_END) :][: int(length)] if length.isascii() and length.isdigit() else b""
        if not path or length != str(len(body)):
            return None
        response = self._answer(method, path, headers, body)
        return None if response is None else Greeting(end + len(_END) + len(body), response)

    def _answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> bytes | None:
        if (method, path) == ("GET", "/health"):
            return _response({"content-type": "application/json", **UNCACHED}, _STARTING)
        if self._gate.refuse(path, headers.get("host", ""), headers.get("origin", "")):
            return None
        if path.startswith(_API):
            return self._recorded(method, path, headers, body)
        if method != "GET" or body:
            return None
        return self._script() if path == SCRIPT_PATH else self._file(path, headers)

    def _script(self) -> bytes | None:
        if self._progress is None:
            raise NotYet
        from mlflow_on_demand.page_script import make_page_script
        from mlflow_on_demand.stage import is_decided

        status = self._progress.status
        if status.manifest is None:
            if is_decided(status):
                return None
            raise NotYet
        kind = {"content-type": "text/javascript; charset=utf-8"}
        script = make_page_script(status.manifest, is_finished=status.is_finished(time.time()))
        return _response({**kind, **UNCACHED}, script.encode())

    def _recorded(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> bytes | None:
        if self._progress is None:
            raise NotYet
        from mlflow_on_demand.recorded import key_of, reply_with
        from mlflow_on_demand.stage import knows_answers

        path, _, query = path.partition("?")
        key = key_of(method, path, query.encode("latin-1"), headers, body) if "%" not in path else None
        status = self._progress.status
        if key is not None and not knows_answers(status):
            raise NotYet
        recorded = (status.answers or {}).get(key or "")
        if recorded is None or recorded.status != 200 or "artifact" in path:
            return None
        reply = reply_with(recorded, headers.get("accept-encoding"))
        return _response(reply.headers, reply.body)

    def _file(self, asked: str, headers: Mapping[str, str]) -> bytes | None:
        name = PAGE if asked == "/" else asked.removeprefix(_FILES)
        file = self._pack.page if asked == "/" else self._pack.files.get(name)
        if file is None or not (asked == "/" or asked.startswith(_FILES)):
            return None
        encoding = choose_encoding(headers.get("accept-encoding"), tuple(file.tags))
        if encoding is None or encoding == IDENTITY:
            return None
        path = self._pack.path_of(name, encoding)
        charset = "; charset=utf-8" if file.media_type.startswith("text/") else ""
        try:
            headers = {"content-type": file.media_type + charset, "last-modified": _date(path.stat().st_mtime)}
            content = path.read_bytes()
        except OSError:
            return None
        return _response({**headers, "accept-ranges": "bytes", **ui_headers(name, file, encoding)}, content)


def _parse(head: bytes) -> tuple[str, str, dict[str, str]]:
    """Method, path and headers, names in lower case; no path when anything is unusual."""
    first, *lines = head.decode("latin-1").split("\r\n")
    method, _, rest = first.partition(" ")
    path, _, version = rest.partition(" ")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        name, value = name.lower(), value.strip()
        is_closing = name == "connection" and value.lower() != "keep-alive"
        if not colon or name in headers or name in _UNUSUAL or is_closing:
            return "", "", {}
        headers[name] = value
    return method, (path if version == "HTTP/1.1" else ""), headers


def _response(headers: Mapping[str, str], content: bytes) -> bytes:
    every = {
        **headers,
        **EVERY_ANSWER,
        "content-length": str(len(content)),
        "date": _date(time.time()),
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in every.items())
    return f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode("latin-1") + content


def _date(seconds: float) -> str:
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(seconds))
