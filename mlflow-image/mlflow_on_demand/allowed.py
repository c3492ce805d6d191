"""Whether a URI lies under a listed one, whichever of its spellings either has. Pure.

Several spellings name one place: schemes that are the same protocol, a host in capitals, a port that is the default
anyway, and the slashes of XRootD's paths. Several readers see several places in one spelling: escapes, dot segments,
users, queries. The first are made equal, the second refused.

Promises: an accepted URI starts with the listed one at a whole path segment, on the same server, and has no user,
fragment, escape or dot segment; its query is none, or that of BigPanDA's export.
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from mlflow_on_demand.errors import StoreUriError

SAME: Final = {"xroot": "root", "xroots": "roots", "dav": "http", "davs": "https"}
"""Schemes by another name of the same protocol."""
PORTS: Final = {"root": 1094, "roots": 1094, "http": 80, "https": 443}
EXPORT: Final = re.compile(
    r"(?P<folder>/(?:[^?]*/)?downloadhpometrics/?)\?workloadid=(?P<task>[1-9][0-9]{0,9})", re.ASCII
)
"""Path and query of BigPanDA's export: all tarballs of one task in one stream."""

_SHAPE = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]*)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[A-Za-z0-9._~!$&'()*+,;=:/-]*)(?P<query>\?workloadid=[0-9]+)?",
    re.ASCII,
)


@dataclass(frozen=True)
class Place:
    """What a URI means: two with the same one are the same. `path` begins with a slash and has no query."""

    scheme: str
    host: str
    port: int | None
    path: str
    task: int | None = None


def read_place(uri: str) -> Place:
    """The place that a URI names; StoreUriError, with the reason, if others could read another from it."""
    found = _SHAPE.fullmatch(uri)
    if found is None:
        raise StoreUriError("is not a plain URI of the form scheme://host/path (no user, query, fragment or % escapes)")
    path, named = found["path"], found["scheme"]
    if any(segment in {".", ".."} for segment in path.split("/")):
        raise StoreUriError("has a . or .. segment")
    scheme = SAME.get(named, named)
    default = PORTS.get(scheme)
    port = int(found["port"]) if found["port"] else default
    if (port is not None and not 0 < port < 65536) or (found["port"] and default is None):
        raise StoreUriError("has a port that there is not")
    if scheme in ("root", "roots"):
        path = re.sub("/+", "/", path)  # as `xrootd_uri` reads it
    export = EXPORT.fullmatch(f"{path}{found['query'] or ''}")
    if found["query"] and (export is None or scheme not in ("http", "https")):
        raise StoreUriError("has a query that is not that of BigPanDA's export (…/downloadhpometrics/?workloadid=…)")
    # A bucket is no host, and may have capitals.
    host = found["host"] if default is None else found["host"].lower().removesuffix(".")
    if default is not None and not host:
        raise StoreUriError("names no host")
    return Place(scheme, host, port, path, int(export["task"]) if export else None)


def read_store(uri: str) -> Place:
    """As read_place, for a listed prefix: a folder, whether or not it ends in a slash."""
    return read_place(uri if uri.endswith("/") else f"{uri}/")


def lies_under(place: Place, store: Place) -> bool:
    """Whether a place is in a listed folder."""
    path = f"{place.path}/" if place.task is not None and not place.path.endswith("/") else place.path
    same_server = (place.scheme, place.host, place.port) == (store.scheme, store.host, store.port)
    return same_server and path.startswith(store.path)


def export_task(uri: str) -> int | None:
    """The task whose export a URI is, or None if it is something else."""
    parts = urlsplit(uri)
    found = EXPORT.fullmatch(f"{parts.path}?{parts.query}") if parts.scheme in ("http", "https") else None
    return int(found["task"]) if found else None
