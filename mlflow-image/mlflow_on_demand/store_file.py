"""A store in a local directory: for laptops, tests, and shared file systems.

Writes go to a hidden name beside their target and are renamed, so a reader never sees half an object. Conditional
writes hold a lock on the directory, which every process on this machine respects.
"""

import fcntl
import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO

from mlflow_on_demand.errors import AccessDenied, ObjectMissing, PreconditionFailed, StoreUnavailable
from mlflow_on_demand.store import CHUNK, StoredObject, parts_of

_log = logging.getLogger(__name__)

_UNFINISHED = ".unfinished-"


class FileStore:
    """Everything under one directory, which need not exist before the first write."""

    def __init__(self, directory: str) -> None:
        self._root = Path(directory)

    @property
    def uri(self) -> str:
        """The prefix as a URI."""
        return self._root.as_uri()

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """See Store; unfinished writes are not listed, nor is what bears a name that is no UTF-8: it has no key."""
        with _translated(prefix):
            keys = sorted(self._keys())
        for key in keys:
            name = key.rpartition("/")[2]
            if key.startswith(prefix) and not name.startswith(_UNFINISHED) and _is_text(key):
                try:
                    status = os.stat(f"{self._root}/{key}")  # noqa: PTH116 (a Path for each costs twice the rest)
                except FileNotFoundError:
                    continue  # removed while we looked
                if S_ISREG(status.st_mode):
                    yield _facts(key, status)

    def _keys(self) -> Iterator[str]:
        """Of all that is no directory, as mere texts, for there may be many."""
        root = str(self._root)
        for folder, _, names in os.walk(root):
            below = folder.removeprefix(root).lstrip("/")
            yield from (f"{below}/{name}" if below else name for name in names)

    def stat(self, key: str) -> StoredObject:
        """See Store."""
        with _translated(key):
            return _facts(key, self._path(key).stat())

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """See Store."""
        with _translated(key), self._open(key) as file:
            if start:
                file.seek(start)
            return file.read(-1 if length is None else length)

    @contextmanager
    def open(self, key: str) -> Iterator[BinaryIO]:
        """See Store."""
        with _translated(key):
            file = self._open(key)
        with file:
            yield file

    def write(self, key: str, source: BinaryIO) -> StoredObject:
        """See Store."""
        path = self._path(key)
        with _translated(key):
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(prefix=_UNFINISHED, dir=path.parent)
            try:
                with os.fdopen(descriptor, "wb") as target:
                    shutil.copyfileobj(source, target, CHUNK)
                    target.flush()
                    os.fsync(target.fileno())
                Path(name).chmod(0o644)
                Path(name).replace(path)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
            return _facts(key, path.stat())

    def write_if(self, key: str, content: bytes, etag: str | None) -> StoredObject:
        """See Store."""
        path = self._path(key)
        with _translated(key):
            path.parent.mkdir(parents=True, exist_ok=True)
            with _locked(path.parent):
                found = _facts(key, path.stat()).etag if path.exists() else None
                if found != etag:
                    raise PreconditionFailed(f"somebody else wrote '{key}' first")
                return self.write(key, BytesIO(content))

    def delete(self, key: str) -> None:
        """See Store."""
        with _translated(key):
            self._path(key).unlink(missing_ok=True)

    def list_unfinished(self) -> Iterator[StoredObject]:
        """See KeepsUnfinished."""
        with _translated(""):
            files = sorted(path for path in self._root.rglob(f"{_UNFINISHED}*") if path.is_file())
        for path in files:
            with suppress(FileNotFoundError):  # finished while we looked
                yield _facts(path.relative_to(self._root).as_posix(), path.stat())

    def discard_unfinished(self, write: StoredObject) -> None:
        """See KeepsUnfinished."""
        self.delete(write.key)

    def _open(self, key: str) -> BinaryIO:
        parts_of(key)
        # A Path interns its parts: Python's table of such texts grows by those of thousands, and stays so.
        return open(f"{self._root}/{key}", "rb")  # noqa: PTH123

    def _path(self, key: str) -> Path:
        return self._root.joinpath(*parts_of(key))


def _is_text(key: str) -> bool:
    try:
        key.encode()
    except UnicodeEncodeError:
        _log.warning("a file whose name is no UTF-8 is left out", extra={"file": ascii(key)})
        return False
    return True


def _facts(key: str, status: os.stat_result) -> StoredObject:
    # The inode is part of it: two writes may fall into one tick of the file system's clock.
    identity = f"{status.st_size}-{status.st_mtime_ns}-{status.st_ino}"
    return StoredObject(key, status.st_size, int(status.st_mtime), hashlib.sha256(identity.encode()).hexdigest()[:32])


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _translated(key: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise ObjectMissing(f"there is no '{key}'") from None
    except PermissionError:
        raise AccessDenied(f"the file system does not allow access to '{key}'") from None
    except OSError as error:
        raise StoreUnavailable(f"the file system failed on '{key}': {error.strerror}") from None
