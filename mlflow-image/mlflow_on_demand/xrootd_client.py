"""Calls to one XRootD server, the only module that imports the bindings: paths in, this package's errors out.

Authentication is the bindings' own: Kerberos, X.509 proxies, bearer tokens and shared secrets, from where XRootD's
tools look for them. Each call has a bound of its own; those of XRD_* variables win over the ones that are set here.
"""

import io
import os
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, BinaryIO
from uuid import uuid4

from XRootD import client
from XRootD.client.env import EnvGetDefault, EnvGetInt, EnvPutInt
from XRootD.client.flags import AccessMode, DirListFlags, MkDirFlags, OpenFlags, QueryCode, StatInfoFlags

from mlflow_on_demand.errors import ObjectMissing, StoreError, StoreUnavailable, TransferDamaged
from mlflow_on_demand.store import CHUNK
from mlflow_on_demand.xrootd_errors import EXISTS, Status, error_of, is_missing, number_of
from mlflow_on_demand.xrootd_uri import XRootDUri

_SECONDS = 30
_CLOSE_SECONDS = 120  # EOS computes and compares checksums of all replicas before it answers
# XRootD's own let a call to a server that is gone wait for ten minutes and more.
_BOUNDS = {"ConnectionWindow": 5, "ConnectionRetry": 2, "TimeoutResolution": 1, "StreamErrorWindow": _SECONDS}
UNFINISHED = ".unfinished-"
# EOS keeps older versions of a file, and uploads under way, beside it.
_HIDDEN = (UNFINISHED, ".sys.v#.", ".sys.a#.")
_DIRECTORIES_AT_ONCE = 8
_FILE_MODE = AccessMode.UR | AccessMode.UW | AccessMode.GR | AccessMode.OR
_DIRECTORY_MODE = _FILE_MODE | AccessMode.UX | AccessMode.GX | AccessMode.OX


class AlreadyThere(StoreError):
    """What was to be created exists."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What a server tells of a file or directory; `identity` changes when a file is replaced."""

    name: str
    is_directory: bool
    size: int
    mtime: int
    identity: str


class XRootDClient:
    """Calls about what lies at and below one URI, by absolute paths. Threads may share it."""

    def __init__(self, place: XRootDUri) -> None:
        _set_bounds()
        self._place = place
        self._url = f"{place.scheme}://{place.host}/"
        self._files = client.FileSystem(self._url)

    def stat(self, path: str) -> Entry:
        """ObjectMissing if nothing is there."""
        status, found = self._files.stat(self._with_opaque(path), timeout=_SECONDS)
        self._check(status, path)
        return _entry(path.rpartition("/")[2], found)

    def list(self, path: str) -> "list[Entry]":
        """What lies directly in a directory, unfinished writes left out; ObjectMissing if it is none."""
        status, found = self._files.dirlist(self._with_opaque(path), DirListFlags.STAT, timeout=_SECONDS)
        self._check(status, path)
        entries = [entry for entry in found or () if entry.statinfo and not entry.name.startswith(_HIDDEN)]
        return [_entry(entry.name, entry.statinfo) for entry in entries]

    def walk(self, path: str) -> "Iterator[tuple[str, Entry]]":
        """Everything below a directory, at any depth, directories before what is in them; nothing if it is none.

        The names have `/` between their parts. What vanishes meanwhile is left out.
        """
        above = [""]
        with ThreadPoolExecutor(_DIRECTORIES_AT_ONCE) as pool:
            while above:
                found = list(pool.map(lambda folder: self._level(path, folder), above))
                yield from (one for level in found for one in level)
                above = [name for level in found for name, entry in level if entry.is_directory]

    def adler32(self, path: str) -> str | None:
        """The checksum in eight hex digits; None if the server has none of this kind, or does not tell."""
        query = f"{path}?{'&'.join(filter(None, ('cks.type=adler32', self._place.opaque)))}"
        status, answer = self._files.query(QueryCode.CHECKSUM, query, timeout=_SECONDS)
        if is_missing(status):
            self._check(status, path)
        kind, _, value = (answer or b"").rstrip(b"\0").decode("ascii", "replace").partition(" ")
        return value.strip().rjust(8, "0") if status.ok and kind == "adler32" else None

    def make_directory(self, path: str) -> None:
        """With those above it; it is no error if it is there."""
        status, _ = self._files.mkdir(self._with_opaque(path), MkDirFlags.MAKEPATH, _DIRECTORY_MODE, timeout=_SECONDS)
        if number_of(status) != EXISTS:
            self._check(status, path)

    def rename(self, path: str, target: str) -> None:
        """Of a file; one that has the new name is replaced."""
        status, _ = self._files.mv(self._with_opaque(path), self._with_opaque(target), timeout=_SECONDS)
        self._check(status, target)

    def remove(self, path: str) -> None:
        """A file; it is no error if there is none."""
        status, _ = self._files.rm(self._with_opaque(path), timeout=_SECONDS)
        if not is_missing(status):
            self._check(status, path)

    def remove_directory(self, path: str) -> None:
        """An empty one; it is no error if there is none."""
        status, _ = self._files.rmdir(self._with_opaque(path), timeout=_SECONDS)
        if not is_missing(status):
            self._check(status, path)

    def read(self, path: str, start: int, length: int | None) -> bytes:
        """A part of a file, less where the file ends before."""
        with self._opened(path, OpenFlags.READ) as file:
            end = self.size_open(file, path) if length is None else start + length
            parts = []
            while start < end and (part := self.read_open(file, path, start, min(end - start, 16 * CHUNK))):
                parts.append(part)
                start += len(part)
        return b"".join(parts)

    @contextmanager
    def open(self, path: str) -> Iterator[BinaryIO]:
        """A file as a stream; at its end its checksum is compared with the server's.

        While it reads, what breaks off is taken up again by the client library.
        """
        with self._opened(path, OpenFlags.READ) as file:
            yield io.BufferedReader(_Reader(self, file, path), CHUNK)

    def replace(self, path: str, source: BinaryIO) -> str | None:
        """Store what `source` yields to its end as this file, seen whole or not at all; see `create`."""
        unfinished = f"{path.rpartition('/')[0]}/{UNFINISHED}{uuid4().hex}"
        try:
            checksum = self.create(unfinished, source)
            self.rename(unfinished, path)
        except BaseException:
            with suppress(StoreError):
                self.remove(unfinished)
            raise
        return checksum

    def create(self, path: str, source: BinaryIO) -> str | None:
        """A new file, and the directories above it, from all that `source` yields; its checksum if the server has one.

        AlreadyThere if there is one, TransferDamaged if what arrived is not what was sent.
        """
        sum_, size = 1, 0
        with self._opened(path, OpenFlags.NEW | OpenFlags.MAKEPATH) as file:
            while chunk := source.read(CHUNK):
                status, _ = file.write(bytes(chunk), size, timeout=_SECONDS)
                self._check(status, path)
                sum_, size = zlib.adler32(chunk, sum_), size + len(chunk)
        arrived = self.adler32(path)
        if arrived not in (None, f"{sum_:08x}") or self.stat(path).size != size:
            raise TransferDamaged(f"'{path}' was damaged on its way to {self._place.server}")
        return arrived

    def _level(self, path: str, folder: str) -> "list[tuple[str, Entry]]":
        prefix = f"{folder}/" if folder else ""
        try:
            entries = self.list(f"{path}/{folder}".rstrip("/") or "/")
        except ObjectMissing:
            return []
        return [(f"{prefix}{entry.name}", entry) for entry in entries]

    def read_open(self, file: Any, path: str, start: int, length: int) -> bytes:
        status, content = file.read(start, length, timeout=_SECONDS)
        self._check(status, path)
        return bytes(content)

    def size_open(self, file: Any, path: str) -> int:
        status, found = file.stat(timeout=_SECONDS)
        self._check(status, path)
        return int(found.size)

    @contextmanager
    def _opened(self, path: str, flags: int) -> Iterator[Any]:
        file = client.File()
        url = f"{self._url}{self._with_opaque(path)}"
        status, _ = file.open(url, flags, _FILE_MODE if flags & OpenFlags.NEW else 0, timeout=_SECONDS)
        if number_of(status) == EXISTS:
            raise AlreadyThere(f"'{path}' exists on {self._place.server}")
        self._check(status, path)
        try:
            yield file
        except BaseException:
            file.close(timeout=_SECONDS)
            raise
        status, _ = file.close(timeout=_CLOSE_SECONDS)
        if flags & OpenFlags.NEW:
            self._check(status, path)

    def _with_opaque(self, path: str) -> str:
        return f"{path}?{self._place.opaque}" if self._place.opaque else path

    def _check(self, status: Status, path: str) -> None:
        if not status.ok:
            raise error_of(status, self._place.server, path, os.environ)


class _Reader(io.RawIOBase):
    """An open file from its beginning to its end."""

    def __init__(self, calls: XRootDClient, file: Any, path: str) -> None:
        super().__init__()
        self._calls, self._file, self._path = calls, file, path
        self._size = calls.size_open(file, path)
        self._position, self._sum = 0, 1

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._position == self._size:
            return 0
        length = min(len(buffer), 4 * CHUNK, self._size - self._position)
        part = self._calls.read_open(self._file, self._path, self._position, length)
        if not part:
            raise StoreUnavailable(f"'{self._path}' broke off")
        buffer[: len(part)] = part
        self._position += len(part)
        self._sum = zlib.adler32(part, self._sum)
        if self._position == self._size and self._calls.adler32(self._path) not in (None, f"{self._sum:08x}"):
            raise TransferDamaged(f"'{self._path}' was damaged on its way, or replaced while it was read")
        return len(part)


def _entry(name: str, found: Any) -> Entry:
    is_directory = bool(found.flags & StatInfoFlags.IS_DIR)
    return Entry(name, is_directory, int(found.size), int(found.mtime), f"{found.id}-{found.mtime}-{found.size}")


def _set_bounds() -> None:
    for name, seconds in _BOUNDS.items():
        if EnvGetInt(name) in (None, int(EnvGetDefault(name) or 0)):
            EnvPutInt(name, seconds)
