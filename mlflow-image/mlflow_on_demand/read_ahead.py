"""Reads many objects several at a time and hands them over in their order, so that each one's way to the store and
back is not waited for. Bounded: in objects, and in bytes that lie in memory; what is larger is streamed in its turn.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from typing import BinaryIO, Generic, TypeVar

from mlflow_on_demand.store import CHUNK, Store

Item = TypeVar("Item")


@dataclass(frozen=True)
class Ahead:
    """How far is read ahead: connections at once, objects, and bytes of all of them and of each."""

    connections: int = 16
    objects: int = 32
    bytes: int = 32 * 2**20
    bytes_each: int = 8 * 2**20


AHEAD = Ahead()


@dataclass(frozen=True)
class Place:
    """Where an object lies, and how large it was when it was listed."""

    store: Store
    key: str
    size: int


def read_ahead(
    items: Iterable[Item], place_of: Callable[[Item], Place], ahead: Ahead | None = None
) -> Generator[tuple[Item, AbstractContextManager[BinaryIO]], None, None]:
    """Each item with its content, in their order; entering it waits for it, and raises what Store.open would.

    Close the iterator when it is not read to its end. An object that was read as a whole has been compared with its
    checksum before anybody sees it; one that is streamed is, when its context ends, even if nobody read it all.
    """
    reading = _Reading(iter(items), place_of, ahead or AHEAD)
    try:
        while (following := reading.take()) is not None:
            yield following
    finally:
        reading.stop()


@dataclass
class _Ordered(Generic[Item]):
    item: Item
    place: Place
    content: Future[bytes] | None


class _Reading(Generic[Item]):
    """The objects on their way, and the next one that they leave no room for."""

    def __init__(self, items: Iterator[Item], place_of: Callable[[Item], Place], ahead: Ahead) -> None:
        self._items, self._place_of, self._ahead = items, place_of, ahead
        self._pool = ThreadPoolExecutor(ahead.connections, "read-ahead")
        self._ordered: deque[_Ordered[Item]] = deque()
        self._waiting: list[Item] = []
        self._held = 0
        self._handed = 0  # bytes of the one that the caller has

    def take(self) -> tuple[Item, AbstractContextManager[BinaryIO]] | None:
        self._held -= self._handed
        self._handed = 0
        self._order()
        if not self._ordered:
            return None
        first = self._ordered.popleft()
        if first.content is None:
            return first.item, _streamed(first.place)
        self._handed = first.place.size
        return first.item, _loaded(first.content)

    def stop(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _order(self) -> None:
        while len(self._ordered) < self._ahead.objects:
            self._waiting = self._waiting or list(islice(self._items, 1))
            if not self._waiting:
                return
            item = self._waiting[0]
            place = self._place_of(item)
            if place.size > self._ahead.bytes_each:
                self._ordered.append(_Ordered(item, place, None))
            elif self._held and self._held + place.size > self._ahead.bytes:
                return
            else:
                self._held += place.size
                # In a copy of our context, which says how much time there is.
                content = self._pool.submit(copy_context().run, place.store.read, place.key)
                self._ordered.append(_Ordered(item, place, content))
            self._waiting = []


@contextmanager
def _loaded(content: Future[bytes]) -> Iterator[BinaryIO]:
    yield BytesIO(content.result())


@contextmanager
def _streamed(place: Place) -> Iterator[BinaryIO]:
    with place.store.open(place.key) as stream:
        yield stream
        # Only behind its last byte is it known whether it came whole: what looks damaged may have come so.
        while stream.read(CHUNK):
            pass
