"""What can be said before anything but this is there: MLflow's page, its compressed files, and that the process lives.

Exactly what `task_app` would answer, and only to requests as browsers and probes commonly send them; to any other it is
None: `greeter` keeps that for the application. Light to import, since a wake begins here.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from mlflow_on_demand.gate import Gate
from mlflow_on_demand.negotiation import IDENTITY, choose_encoding
from mlflow_on_demand.ui_pack import UiPack
from mlflow_on_demand.ui_page import PAGE
from mlflow_on_demand.ui_replies import EVERY_ANSWER, UNCACHED, ui_headers

_END = b"\r\n\r\n"
_FILES = "/static-files/"
_STARTING = b'{"stage":"starting"}'
# Whoever sends one of these wants more than the whole of a fresh file, or sends more than a head.
_UNUSUAL = frozenset(
    {
        *("authorization", "content-length", "expect", "range", "transfer-encoding", "upgrade"),
        *("if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since"),
    }
)


@dataclass(frozen=True)
class Greeting:
    """A whole response, and the length of the request that it answers."""

    asked: int
    response: bytes = field(repr=False)


@dataclass(frozen=True)
class Greetings:
    """The answers of one task's server."""

    gate: Gate
    pack: UiPack

    def find(self, received: bytes) -> Greeting | None:
        """The answer to the request that `received` begins with, or None: it is incomplete, or not for us."""
        end = received.find(_END)
        if end < 0:
            return None
        path, headers = _parse(received[:end])
        if path == "/health":
            response = _response({"content-type": "application/json", **UNCACHED}, _STARTING)
        elif not path or self.gate.refuse(path, headers.get("host", ""), headers.get("origin", "")):
            return None
        else:
            found = self._file(path, headers)
            if found is None:
                return None
            response = found
        return Greeting(end + len(_END), response)

    def _file(self, asked: str, headers: Mapping[str, str]) -> bytes | None:
        name = PAGE if asked == "/" else asked.removeprefix(_FILES)
        file = self.pack.page if asked == "/" else self.pack.files.get(name)
        if file is None or not (asked == "/" or asked.startswith(_FILES)):
            return None
        encoding = choose_encoding(headers.get("accept-encoding"), tuple(file.tags))
        if encoding is None or encoding == IDENTITY:
            return None
        path = self.pack.path_of(name, encoding)
        charset = "; charset=utf-8" if file.media_type.startswith("text/") else ""
        try:
            headers = {"content-type": file.media_type + charset, "last-modified": _date(path.stat().st_mtime)}
            content = path.read_bytes()
        except OSError:
            return None
        return _response({**headers, "accept-ranges": "bytes", **ui_headers(name, file, encoding)}, content)


def _parse(head: bytes) -> tuple[str, dict[str, str]]:
    """Path and headers of a plain GET, names in lower case; no path when it is anything else."""
    first, *lines = head.decode("latin-1").split("\r\n")
    method, _, rest = first.partition(" ")
    path, _, version = rest.partition(" ")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        name, value = name.lower(), value.strip()
        is_closing = name == "connection" and value.lower() != "keep-alive"
        if not colon or name in headers or name in _UNUSUAL or is_closing:
            return "", {}
        headers[name] = value
    return (path if (method, version) == ("GET", "HTTP/1.1") else ""), headers


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
