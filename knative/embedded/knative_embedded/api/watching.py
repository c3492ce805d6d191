"""Watches: the history of one kind as the lines of a chunked response.

Source of the rules: Kubernetes API concepts, "Efficient detection of changes". Without a resourceVersion (or with 0),
or with sendInitialEvents, the present objects come first as ADDED. An object that leaves a selector is DELETED, one
that enters it is ADDED.
"""

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator, Callable

from knative_embedded.api import errors
from knative_embedded.api.selectors import Predicate
from knative_embedded.kinds import Kind
from knative_embedded.objects import Object, namespace_of
from knative_embedded.state.history import Change, Expired, History
from knative_embedded.state.store import Store

BOOKMARK_EVERY = 30.0
DEFAULT_TIMEOUT = 1800.0


@dataclasses.dataclass(frozen=True)
class Watch:
    """One client's watch."""

    kind: Kind
    namespace: str
    selects: Predicate
    version: str = ""
    initial: bool = False
    bookmarks: bool = False
    timeout: float = DEFAULT_TIMEOUT


Present = Callable[[Object], Object]


def classify(watch: Watch, change: Change) -> tuple[str, Object] | None:
    """The watch event of a change, or None when the watcher does not see it."""
    if change.kind is not watch.kind or (watch.namespace and namespace_of(change.last) != watch.namespace):
        return None
    was = change.before is not None and watch.selects(change.before)
    is_now = change.after is not None and watch.selects(change.after)
    if is_now:
        return ("MODIFIED" if was else "ADDED"), change.last
    return ("DELETED", change.last) if was else None


def start(store: Store, watch: Watch) -> tuple[list[Object], int]:
    """The objects to send first, and the version to follow from. Raises ApiError (expired, bad request)."""
    history = store.history
    if watch.version not in {"", "0"} and not watch.initial:
        if not watch.version.isdigit():
            raise errors.bad_request(f"invalid resource version: {watch.version!r}")
        version = int(watch.version)
        try:
            history.after(version)
        except Expired as expired:
            raise errors.expired(expired.wanted, expired.oldest) from None
        return [], version
    present = [thing for thing in store.list(watch.kind, watch.namespace) if watch.selects(thing)]
    return present, history.version


async def lines(
    history: History, watch: Watch, beginning: tuple[list[Object], int], present: Present
) -> AsyncIterator[bytes]:
    """The response's lines until the watch's time is up. `present` turns an object into what the client asked for."""
    things, version = beginning
    for thing in things:
        yield _line("ADDED", present(thing))
    if watch.initial and watch.bookmarks:
        yield _line("BOOKMARK", _bookmark(watch.kind, version, initial=True))
    loop = asyncio.get_running_loop()
    ends = loop.time() + watch.timeout
    follower = history.follow(version)
    upcoming: asyncio.Future[Change] | None = None
    try:
        while (left := ends - loop.time()) > 0:
            upcoming = upcoming or asyncio.ensure_future(_next(follower))
            await asyncio.wait([upcoming], timeout=min(left, BOOKMARK_EVERY))
            if not upcoming.done():
                if watch.bookmarks:
                    yield _line("BOOKMARK", _bookmark(watch.kind, history.version))
                continue
            found, upcoming = classify(watch, upcoming.result()), None
            if found:
                yield _line(found[0], present(found[1]))
    except Expired as expired:
        yield _line("ERROR", errors.expired(expired.wanted, expired.oldest).status())
    finally:
        if upcoming:
            upcoming.cancel()


async def _next(follower: AsyncIterator[Change]) -> Change:
    return await anext(follower)


def _bookmark(kind: Kind, version: int, *, initial: bool = False) -> Object:
    metadata: Object = {"resourceVersion": str(version), "creationTimestamp": None}
    if initial:
        metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
    return {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": metadata}


def _line(kind: str, thing: Object) -> bytes:
    return json.dumps({"type": kind, "object": thing}).encode() + b"\n"
