"""Calls to one XRootD server, the only module that imports the bindings: paths in, this package's errors out.

Authentication is the bindings' own: Kerberos, X.509 proxies, bearer tokens and shared secrets, from where XRootD's
tools look for them. Every call has an end: its bounds, in seconds, are set here unless variables (XRD_REQUESTTIMEOUT,
XRD_CONNECTIONWINDOW and so on) or the program itself have set them.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO
from uuid import uuid4

from XRootD import client
from XRootD.client.env import EnvGetDefault, EnvGetInt, EnvPutInt
from XRootD.client.flags import AccessMode, DirListFlags, MkDirFlags, OpenFlags, QueryCode, StatInfoFlags

from mlflow_on_demand.checksums import Digest, is_same, make_digest
from mlflow_on_demand.errors import ObjectMissing, RangeBehindEnd, StoreError, TransferDamaged
from mlflow_on_demand.store import CHUNK
from mlflow_on_demand.transfer import Part
from mlflow_on_demand.xrootd_errors import EXISTS, Status, error_of, is_missing, number_of
from mlflow_on_demand.xrootd_token import hand_over
from mlflow_on_demand.xrootd_uri import XRootDUri

_CLOSE_SECONDS = 120  # EOS computes and compares checksums of all replicas before it answers
# XRootD's own bounds let a call to a server that is gone wait for ten minutes, and one that is silent for thirty.
_BOUNDS = {
    "ConnectionWindow": 5,
    "ConnectionRetry": 2,
    "RequestTimeout": 30,
    "StreamErrorWindow": 30,
    "StreamTimeout": 30,
    "TimeoutResolution": 1,
}
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
        self._latest: tuple[str, Any] = ("", None)

    @property
    def _url(self) -> str:
        """The server's; the client library shares a connection among all that write server and user alike."""
        generation = hand_over(os.environ)
        user = f"t{generation}@" if generation and "@" not in self._place.host else ""
        return f"{self._place.scheme}://{user}{self._place.host}/"

    @property
    def _files(self) -> Any:
        url, files = self._latest
        if url != self._url:
            url = self._url
            files = client.FileSystem(url)
            self._latest = (url, files)
        return files

    def stat(self, path: str) -> Entry:
        """ObjectMissing if nothing is there."""
        status, found = self._files.stat(self._with_opaque(path))
        self._check(status, path)
        return _entry(path.rpartition("/")[2], found)

    def entries(self, path: str, *, unfinished: bool = False) -> list[Entry]:
        """What lies directly in a directory, also what nobody has finished to write if that is wanted.

        ObjectMissing if there is no such directory.
        """
        status, found = self._files.dirlist(self._with_opaque(path), DirListFlags.STAT)
        self._check(status, path)
        hidden = () if unfinished else _HIDDEN
        entries = [entry for entry in found or () if entry.statinfo and not entry.name.startswith(hidden)]
        return [_entry(entry.name, entry.statinfo) for entry in entries]

    def walk(self, path: str, *, unfinished: bool = False) -> Iterator[tuple[str, Entry]]:
        """Everything below a directory, at any depth, directories before what is in them; nothing if it is none.

        The names have `/` between their parts. What vanishes meanwhile is left out.
        """
        above = [""]
        with ThreadPoolExecutor(_DIRECTORIES_AT_ONCE) as pool:
            while above:
                found = list(pool.map(lambda folder: self._level(path, folder, unfinished=unfinished), above))
                yield from (one for level in found for one in level)
                above = [name for level in found for name, entry in level if entry.is_directory]

    def adler32(self, path: str) -> str | None:
        """The checksum as `adler32:…`; None if the server has none of this kind, or does not tell."""
        query = f"{path}?{'&'.join(filter(None, ('cks.type=adler32', self._place.opaque)))}"
        status, answer = self._files.query(QueryCode.CHECKSUM, query)
        if is_missing(status):
            self._check(status, path)
        kind, _, value = (answer or b"").rstrip(b"\0").decode("ascii", "replace").partition(" ")
        return f"adler32:{value.strip()}" if status.ok and kind == "adler32" else None

    def make_directory(self, path: str) -> None:
        """With those above it; it is no error if it is there."""
        status, _ = self._files.mkdir(self._with_opaque(path), MkDirFlags.MAKEPATH, _DIRECTORY_MODE)
        if number_of(status) != EXISTS:
            self._check(status, path)

    def rename(self, path: str, target: str) -> None:
        """Of a file; one that has the new name is replaced."""
        status, _ = self._files.mv(self._with_opaque(path), self._with_opaque(target))
        self._check(status, target)

    def remove(self, path: str) -> None:
        """A file; it is no error if there is none."""
        status, _ = self._files.rm(self._with_opaque(path))
        if not is_missing(status):
            self._check(status, path)

    def remove_directory(self, path: str) -> None:
        """An empty one; it is no error if there is none."""
        status, _ = self._files.rmdir(self._with_opaque(path))
        if not is_missing(status):
            self._check(status, path)

    def fetch(self, path: str, start: int, length: int | None, etag: str | None) -> Part:
        """See `transfer.Fetch`. Only of a whole file is the checksum asked for; there, it is the etag."""
        file = self._open(path, OpenFlags.READ)
        try:
            size, checksum = self._facts(file, path, start, length, etag)
        except BaseException:
            self._close(file)
            raise
        position = start

        def read(most: int) -> bytes:
            nonlocal position
            status, content = file.read(position, most)
            self._check(status, path)
            position += len(content)
            return bytes(content)

        return Part(read, lambda: self._close(file), start, size, checksum or str(size), checksum)

    def replace(self, path: str, source: BinaryIO) -> str | None:
        """Store what `source` yields to its end as this file, and the directories above it; readers see it whole.

        Its checksum if the server has one. TransferDamaged if what arrived is not what was sent.
        """
        unfinished = f"{path.rpartition('/')[0]}/{UNFINISHED}{uuid4().hex}"
        file = self._open(unfinished, OpenFlags.NEW | OpenFlags.MAKEPATH, path)
        try:
            try:
                size, digest = self._fill(file, source, path)
            finally:
                self._close(file)
            checksum = self.adler32(unfinished)
            if (checksum and not is_same(digest, checksum)) or self.stat(unfinished).size != size:
                raise TransferDamaged(f"'{path}' was damaged on its way to {self._place.server}")  # noqa: TRY301
            self.rename(unfinished, path)
        except BaseException:
            with suppress(StoreError):
                self.remove(unfinished)
            raise
        return checksum

    def create(self, path: str) -> None:
        """An empty file, and the directories above it, by one writer only: AlreadyThere for all others."""
        self._check(self._open(path, OpenFlags.NEW | OpenFlags.MAKEPATH).close()[0], path)

    def _fill(self, file: Any, source: BinaryIO, path: str) -> tuple[int, Digest]:
        digest, size = make_digest("adler32:"), 0
        assert digest is not None
        while chunk := source.read(CHUNK):
            status, _ = file.write(bytes(chunk), size)
            self._check(status, path)
            digest.update(chunk)
            size += len(chunk)
        self._check(file.close(timeout=_CLOSE_SECONDS)[0], path)
        return size, digest

    def _level(self, path: str, folder: str, *, unfinished: bool) -> list[tuple[str, Entry]]:
        prefix = f"{folder}/" if folder else ""
        try:
            entries = self.entries(f"{path}/{folder}".rstrip("/") or "/", unfinished=unfinished)
        except ObjectMissing:
            return []
        return [(f"{prefix}{entry.name}", entry) for entry in entries]

    def _facts(self, file: Any, path: str, start: int, length: int | None, etag: str | None) -> tuple[int, str | None]:
        status, found = file.stat()
        self._check(status, path)
        size = int(found.size)
        if start and start >= size:
            raise RangeBehindEnd(f"'{path}' ends before byte {start}")
        is_whole = start == 0 and (length is None or length >= size)
        return size, self.adler32(path) if is_whole or (etag or "").startswith("adler32:") else None

    def _open(self, path: str, flags: int, shown: str = "") -> Any:
        file = client.File()
        url = f"{self._url}{self._with_opaque(path)}"
        status, _ = file.open(url, flags, _FILE_MODE if flags & OpenFlags.NEW else 0)
        if number_of(status) == EXISTS:
            raise AlreadyThere(f"'{path}' exists on {self._place.server}")
        self._check(status, shown or path)
        return file

    def _close(self, file: Any) -> None:
        """Let go of it, whatever became of it."""
        if file.is_open():
            file.close()

    def _with_opaque(self, path: str) -> str:
        return f"{path}?{self._place.opaque}" if self._place.opaque else path

    def _check(self, status: Status, path: str) -> None:
        if not status.ok:
            raise error_of(status, self._place.server, path, os.environ)


def _entry(name: str, found: Any) -> Entry:
    is_directory = bool(found.flags & StatInfoFlags.IS_DIR)
    return Entry(name, is_directory, int(found.size), int(found.mtime), f"{found.id}-{found.mtime}-{found.size}")


def _set_bounds() -> None:
    for name, seconds in _BOUNDS.items():
        if EnvGetInt(name) in (None, int(EnvGetDefault(name) or 0)):
            EnvPutInt(name, seconds)
