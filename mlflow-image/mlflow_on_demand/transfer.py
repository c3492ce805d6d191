"""Reads from stores that fail now and then: asks again after growing pauses, goes on where an answer broke off, and
compares what came with the checksum that the store tells. The one place for all of this.

A backend says only how one answer is fetched (`Fetch`); errors that are not passing go through as they are. Everything
has an end: failures without progress are counted, and `within` sets a time by which a store has to be done.
"""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import BinaryIO, TypeVar, cast

from mlflow_on_demand.checksums import is_same, make_digest
from mlflow_on_demand.errors import (
    ObjectChanged,
    PreconditionFailed,
    RangeBehindEnd,
    StoreError,
    StoreUnavailable,
    TransferDamaged,
)
from mlflow_on_demand.store import CHUNK

Result = TypeVar("Result")
_until: ContextVar[float | None] = ContextVar("until", default=None)


@dataclass(frozen=True, slots=True)
class Part:
    """One answer of a store: the bytes of an object from `start` on, as they come, and the facts it tells of the whole.

    `read` gives at most so many bytes, as soon as there are some, and b"" behind the last; StoreUnavailable if the
    connection fails, and where it is known to have ended too early. `size` (None: unknown) and `checksum` are the whole
    object's; without an etag ("") it cannot be gone on with.
    """

    read: Callable[[int], bytes]
    close: Callable[[], None]
    start: int
    size: int | None
    etag: str
    checksum: str | None = None


Fetch = Callable[[int, int | None, str | None], Part]
"""Asks once for a part: where it starts, how many bytes (None: to the end), and the etag that the object should still
have (None: any; PreconditionFailed if it has another). A backend that cannot ask so may leave that out: the part's own
etag is compared too. One that gives more than was asked for says so by its `start`."""


@dataclass(frozen=True)
class Patience:
    """How often, and after how many seconds, a store is asked again."""

    attempts: int = 4
    first_pause: float = 0.2
    longest_pause: float = 5.0

    def pause_after(self, failures: int) -> float:
        """Twice as long each time; a part of it is chance, so that many who failed at once do not return at once."""
        whole = min(self.longest_pause, self.first_pause * 2.0 ** (failures - 1))
        return whole * random.uniform(0.5, 1)  # noqa: S311 (no secret)


PATIENCE = Patience()


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """What this thread asks of stores in this block has to be done by then; StoreUnavailable where it is not.

    It is looked at between the bytes that come: a server that is silent is given up when its connection's time is over.
    """
    token = _until.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _until.reset(token)


def check_time() -> None:
    """StoreUnavailable when the time that `within` set is over."""
    until = _until.get()
    if until is not None and time.monotonic() > until:
        raise StoreUnavailable("the store is too slow: it was not done in time")


def persist(
    action: Callable[[], Result],
    passing: tuple[type[StoreError], ...] = (StoreUnavailable,),
    patience: Patience = PATIENCE,
) -> Result:
    """What the action returns, tried again while it raises one of `passing`."""
    failures = 0
    while True:
        check_time()
        try:
            return action()
        except passing:
            failures += 1
            if failures >= patience.attempts:
                raise
        wait(patience.pause_after(failures))


def wait(seconds: float) -> None:
    """Pause, but not for longer than `within` allows."""
    until = _until.get()
    time.sleep(max(0.0, seconds if until is None else min(seconds, until - time.monotonic())))


def read_object(key: str, fetch: Fetch, start: int, length: int | None, patience: Patience = PATIENCE) -> bytes:
    """As Store.read: what came damaged, or from two objects, is read anew."""

    def read() -> bytes:
        with open_object(key, fetch, start, length, patience) as stream:
            return stream.read()

    if length == 0:
        return b""
    try:
        return persist(read, (ObjectChanged, TransferDamaged), patience)
    except RangeBehindEnd:
        if start:
            return b""
        raise


@contextmanager
def open_object(
    key: str, fetch: Fetch, start: int = 0, length: int | None = None, patience: Patience = PATIENCE
) -> Iterator[BinaryIO]:
    """As Store.open, of a part too; errors of the first answer are raised before the block begins."""
    stream = _Stream(key, fetch, start, length, patience)
    try:
        yield cast("BinaryIO", stream)
    finally:
        stream.close()


class _Stream:
    """The bytes of one object, whatever happens to the connections that they come by."""

    def __init__(self, key: str, fetch: Fetch, start: int, length: int | None, patience: Patience) -> None:
        self._key, self._fetch, self._patience = key, fetch, patience
        check_time()
        self._part = fetch(start, length, None)
        self._etag, self._checksum = self._part.etag, self._part.checksum
        whole = self._part.size
        asked = None if length is None else start + length
        self._end = min((one for one in (whole, asked) if one is not None), default=None)
        self._at = start
        self._came = self._part.start  # what this connection has brought us to
        is_whole = start == 0 and (asked is None or asked == whole)
        self._digest = make_digest(self._checksum) if is_whole else None
        self._failures = 0
        self._failed_at = start

    def read(self, size: int = -1) -> bytes:
        """As many bytes as asked for, and fewer only at the end."""
        left = None if self._end is None else self._end - self._at
        wanted = min((one for one in (left, size if size >= 0 else None) if one is not None), default=None)
        chunks = []
        while wanted is None or wanted > 0:
            chunk = self._next(CHUNK if wanted is None else min(wanted, CHUNK))
            if not chunk:
                break
            wanted = None if wanted is None else wanted - len(chunk)
            chunks.append(chunk)
        self._verify()
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def close(self) -> None:
        """Let go of the connection."""
        self._part.close()

    def _next(self, size: int) -> bytes:
        """Some bytes, at most so many; none at the end of what was asked for."""
        chunk = b""
        while not chunk and self._at != self._end:
            check_time()
            try:
                chunk = self._receive(size)
            except StoreUnavailable as error:
                self._go_on(error)
        self._at += len(chunk)
        if self._digest is not None:
            self._digest.update(chunk)
        return chunk

    def _receive(self, size: int) -> bytes:
        """The next bytes of this connection, or none where they were of what we have: of a server without ranges."""
        behind = self._at - self._came
        chunk = self._part.read(min(behind, CHUNK) if behind else size)
        if not chunk:
            if self._end is None and not behind:
                self._end = self._at  # no size was told: this is it
                return b""
            raise StoreUnavailable(f"the store broke off in '{self._key}'")
        self._came += len(chunk)
        return b"" if behind else chunk

    def _go_on(self, error: StoreUnavailable) -> None:
        """Ask for the rest, until there is an answer or patience ends."""
        if self._at >= self._failed_at + CHUNK:
            self._failures = 0
        self._failed_at = self._at
        self._part.close()
        while True:
            self._failures += 1
            if self._failures >= self._patience.attempts or not self._etag:
                raise error
            wait(self._patience.pause_after(self._failures))
            check_time()
            try:
                part = self._fetch(self._at, None if self._end is None else self._end - self._at, self._etag)
            except StoreUnavailable as latest:
                error = latest
                continue
            except (PreconditionFailed, RangeBehindEnd):
                raise self._changed() from None
            break
        if part.etag != self._etag:
            part.close()
            raise self._changed()
        self._part, self._came = part, part.start

    def _changed(self) -> ObjectChanged:
        return ObjectChanged(f"'{self._key}' was replaced while it was read")

    def _verify(self) -> None:
        if self._at != self._end or self._digest is None or self._checksum is None:
            return
        digest, self._digest = self._digest, None
        if not is_same(digest, self._checksum):
            algorithm = self._checksum.partition(":")[0]
            raise TransferDamaged(f"'{self._key}' came damaged: its {algorithm} is not the one that the store tells")
