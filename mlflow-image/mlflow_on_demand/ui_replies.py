"""The headers under which the page, MLflow's files and our own answers go out, whoever sends them. Light to import."""

import re

from mlflow_on_demand.negotiation import IDENTITY
from mlflow_on_demand.ui_pack import UiFile

FOR_EVER = "public, max-age=31536000, immutable"
UNCACHED = {"cache-control": "no-store"}
EVERY_ANSWER = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
    "referrer-policy": "same-origin",
}

_NAME = re.compile(r"(?:[\w-]+/)*[\w.~@-]+\.[0-9a-f]{8,}\.[\w.]+", re.ASCII)
_MAX_NAME = 200


def is_hashed(name: str) -> bool:
    """Whether a path below `/static-files/` can be that of a file whose name holds the hash of its content."""
    return len(name) <= _MAX_NAME and not name.endswith(".gz") and _NAME.fullmatch(name) is not None


def keep(name: str) -> str:
    """How long a browser may keep a file of MLflow's: what has a hash in its name never changes."""
    return FOR_EVER if is_hashed(name) else "no-cache"


def ui_headers(name: str, file: UiFile, encoding: str) -> dict[str, str]:
    """Those of one form of a file, but for its type and length."""
    headers = {"cache-control": keep(name), "etag": f'"{file.tags[encoding]}"', "vary": "Accept-Encoding"}
    return headers if encoding == IDENTITY else {**headers, "content-encoding": encoding}
