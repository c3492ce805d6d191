"""A store on an XRootD server, such as CERN's EOS.

A write goes to a hidden name beside its target, is compared with the server's checksum and renamed, so a reader never
sees half an object. On EOS itself a rename that replaces is a removal and a rename: between the two, for an instant,
a reader may find nothing there.

XRootD has no conditional write. Ours holds a lock, a file that only one writer can create: of writers that are at work
one wins, but one that stalls between its look and its rename for longer than others wait (30 seconds) still writes,
so, as on an S3 server that ignores conditions, what is written must be right whoever wins.
"""

import hashlib
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from io import BytesIO
from typing import BinaryIO

from mlflow_on_demand.errors import ObjectMissing, PreconditionFailed
from mlflow_on_demand.store import StoredObject
from mlflow_on_demand.transfer import open_object, read_object
from mlflow_on_demand.xrootd_client import UNFINISHED, AlreadyThere, Entry, XRootDClient
from mlflow_on_demand.xrootd_uri import XRootDUri, check_key

_LOCK_SECONDS = 30.0
_LOOK_AGAIN_SECONDS = 0.1


class XRootDStore:
    """Everything below one path of a server, which need not exist before the first write."""

    def __init__(self, uri: str) -> None:
        self._place = XRootDUri.parse(uri)
        self._client = XRootDClient(self._place)

    @property
    def uri(self) -> str:
        """The prefix as a URI, without what followed its `?`."""
        return str(self._place)

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """See Store; without checksums."""
        folder = prefix.rpartition("/")[0]
        above = f"{folder}/" if folder else ""
        below = self._client.walk(self._place.at(folder))
        files = sorted((f"{above}{name}", entry) for name, entry in below if not entry.is_directory)
        for key, entry in files:
            if key.startswith(prefix):
                yield _facts(key, entry)

    def stat(self, key: str) -> StoredObject:
        """See Store."""
        entry = self._client.stat(self._path(key))
        if entry.is_directory:
            raise ObjectMissing(f"'{key}' is a directory")
        return _facts(key, entry, self._client.adler32(self._path(key)))

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """See Store."""
        return read_object(key, partial(self._client.fetch, self._path(key)), start, length)

    def open(self, key: str) -> AbstractContextManager[BinaryIO]:
        """See Store."""
        return open_object(key, partial(self._client.fetch, self._path(key)))

    def write(self, key: str, source: BinaryIO) -> StoredObject:
        """See Store."""
        path = self._path(key)
        checksum = self._client.replace(path, source)
        return _facts(key, self._client.stat(path), checksum)

    def write_if(self, key: str, content: bytes, etag: str | None) -> StoredObject:
        """See Store; what it promises, this module's docstring says."""
        with self._locked(self._path(key)):
            try:
                found = self.stat(key).etag
            except ObjectMissing:
                found = None
            if found != etag:
                raise PreconditionFailed(f"somebody else wrote '{key}' first")
            return self.write(key, BytesIO(content))

    def delete(self, key: str) -> None:
        """See Store."""
        self._client.remove(self._path(key))

    def list_unfinished(self) -> Iterator[StoredObject]:
        """See KeepsUnfinished: writes that broke off, and locks of writers that died."""
        for name, entry in sorted(self._client.walk(self._place.path, unfinished=True)):
            if entry.name.startswith(UNFINISHED) and not entry.is_directory:
                yield _facts(name, entry)

    def discard_unfinished(self, write: StoredObject) -> None:
        """See KeepsUnfinished."""
        self.delete(write.key)

    def _path(self, key: str) -> str:
        check_key(key)
        return self._place.at(key)

    @contextmanager
    def _locked(self, path: str) -> Iterator[None]:
        folder, _, name = path.rpartition("/")
        lock = f"{folder}/{UNFINISHED}lock-{hashlib.sha256(name.encode()).hexdigest()[:32]}"
        self._take(lock)
        try:
            yield
        finally:
            self._client.remove(lock)

    def _take(self, lock: str) -> None:
        """Create it, once nobody holds it; one that the same writer held for all of our patience is a dead writer's."""
        held, since = "", time.monotonic()
        while True:
            try:
                self._client.create(lock)
            except AlreadyThere:
                with suppress(ObjectMissing):
                    if (seen := self._client.stat(lock).identity) != held:
                        held, since = seen, time.monotonic()
                if time.monotonic() - since > _LOCK_SECONDS:
                    self._client.remove(lock)
                time.sleep(_LOOK_AGAIN_SECONDS)
            else:
                return


def _facts(key: str, entry: Entry, checksum: str | None = None) -> StoredObject:
    return StoredObject(key, entry.size, entry.mtime, entry.identity, checksum)
