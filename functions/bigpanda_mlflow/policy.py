"""What a deployment lets an event ask for: which URIs it may point at, and for how long a page may stay.

Whoever may send an event decides what this deployment's credentials read, so a URI counts only when it is spelled in
one way and lies under a store that the deployment lists.

Promises: an accepted URI starts with a listed store at a whole path segment, and has no user, query, fragment, escape
or dot segment by which it could mean another place to another reader.
"""

import re
from collections.abc import Sequence

from bigpanda_mlflow.errors import Permanent
from bigpanda_mlflow.events import Results, Visualize
from bigpanda_mlflow.settings import Settings

_SHAPE = re.compile(r"[a-z][a-z0-9+.-]*://[A-Za-z0-9._:-]*/[A-Za-z0-9._~!$&'()*+,;=:/-]*", re.ASCII)


def check_request(data: Visualize | Results, settings: Settings) -> None:
    """Raises Permanent, naming the field, for what this deployment does not do."""
    check_artifacts(data.artifacts or (), settings.artifact_stores)
    if isinstance(data, Visualize) and data.lifetime > settings.max_lifetime:
        raise Permanent(f"is longer than this deployment's {settings.max_lifetime}", "data.lifetime")


def check_artifacts(uris: Sequence[str], stores: Sequence[str]) -> None:
    """Raises Permanent, naming the field, at the first URI that this deployment must not read."""
    for position, uri in enumerate(uris):
        reason = _objection(uri, stores)
        if reason is not None:
            raise Permanent(reason, f"data.artifacts[{position}]")


def _objection(uri: str, stores: Sequence[str]) -> str | None:
    if not _SHAPE.fullmatch(uri):
        return "is not a plain URI of the form scheme://host/path (no user, query, fragment or % escapes)"
    if any(segment in {".", ".."} for segment in uri.split("/")):
        return "has a . or .. segment"
    if not any(_lies_under(uri, store) for store in stores):
        return "is outside the stores that this deployment reads"
    return None


def _lies_under(uri: str, store: str) -> bool:
    return uri.startswith(store if store.endswith("/") else f"{store}/")
