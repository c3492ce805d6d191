"""One small Protocol over the places where tarballs and snapshots lie, so that nothing else knows S3 from a directory.

A store is everything under one URI prefix; keys are relative to it, with `/` between their parts. Backends promise:
a write is seen whole or not at all, a list is sorted by key, and only errors of `errors.py` come out.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from mlflow_on_demand.errors import StoreError

CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What a store tells of an object: bytes, mtime in whole seconds since 1970, an etag that changes with it.

    `checksum` is that of its bytes, by the name of its algorithm and in hex (`md5:…`, `adler32:…`, `sha256:…`), where
    the store has one. A list leaves it out (None) where it would cost one more request for each object.
    """

    key: str
    size: int
    mtime: int
    etag: str
    checksum: str | None = None


def parts_of(key: str) -> tuple[str, ...]:
    """A key taken apart; StoreError for what could lead out of its store, or is no name of a file."""
    parts = tuple(key.split("/"))
    if not all(parts) or ".." in parts or "." in parts or "\0" in key:
        raise StoreError(f"'{key}' is no key")
    return parts


class Store(Protocol):
    """Everything under one URI prefix."""

    @property
    def uri(self) -> str:
        """The prefix, without a slash at its end."""

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Every object whose key begins with `prefix`, at any depth, sorted by key; empty if there is none."""

    def stat(self, key: str) -> StoredObject:
        """The object's facts; ObjectMissing if there is none."""

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """`length` bytes from `start` on (to the end if None; fewer if the object ends before)."""

    def open(self, key: str) -> AbstractContextManager[BinaryIO]:
        """The whole object as a stream, read once from its beginning, without holding it in memory.

        What broke off is gone on with behind the last byte that came: ObjectChanged if it is no longer the same object,
        and TransferDamaged at its end if the bytes do not have the checksum that the store tells of them.
        """

    def write(self, key: str, source: BinaryIO) -> StoredObject:
        """Store what `source` yields to its end, replacing what was there; readers see the old or the new, whole."""

    def write_if(self, key: str, content: bytes, etag: str | None) -> StoredObject:
        """Write only if the object still has this etag, or, with None, does not exist; else PreconditionFailed.

        For small objects. A server of the S3 protocol that ignores the condition writes regardless: then the last
        writer wins, so what is written must be right whoever wins.
        """

    def delete(self, key: str) -> None:
        """Remove the object; it is no error if there is none."""
