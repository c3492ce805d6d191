"""All artifacts of a task in one object whose members are read by byte range: an uncompressed zip.

A zip ends in an index of its members, so two or three small reads find any of them in a store, and anybody's unzip
opens the bundle without us. Members are named `<run id>/artifacts/<path>`, sorted, without times: the same artifacts
give the same bytes.
"""

import io
import shutil
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import IO, BinaryIO

from mlflow_on_demand.errors import ChecksumMismatch, ObjectMissing
from mlflow_on_demand.snapshot import Manifest
from mlflow_on_demand.store import CHUNK, Store

_FIRST_TIME = (1980, 1, 1, 0, 0, 0)
_READ_AHEAD = 256 * 1024


@dataclass(frozen=True, order=True)
class Spooled:
    """One artifact waiting in the spool file: its member name, and where its bytes lie."""

    name: str
    offset: int
    size: int


class Spool:
    """Artifacts in the order in which they come, in one scratch file; a tarball that is lost gives its space back."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w+b")

    def add(self, name: str, content: BinaryIO) -> Spooled:
        """Copy one artifact's bytes to the end of the spool."""
        offset = self._file.seek(0, io.SEEK_END)
        shutil.copyfileobj(content, self._file, CHUNK)
        return Spooled(name, offset, self._file.tell() - offset)

    def mark(self) -> int:
        """The spool's present end, for `cut`."""
        return self._file.seek(0, io.SEEK_END)

    def cut(self, mark: int) -> None:
        """Forget everything behind a mark."""
        self._file.truncate(mark)

    def write_bundle(self, target: Path, members: Iterable[Spooled]) -> None:
        """Write the bundle of these members, sorted by name."""
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED, allowZip64=True) as bundle:
            for member in sorted(members):
                info = zipfile.ZipInfo(member.name, _FIRST_TIME)
                info.create_system = 3
                info.external_attr = 0o644 << 16
                info.file_size = member.size
                self._file.seek(member.offset)
                with bundle.open(info, "w") as out:
                    _copy(self._file, out, member.size)

    def close(self) -> None:
        """Close the scratch file; whoever made its directory removes it."""
        self._file.close()


class Bundle:
    """A published bundle in a store, and those of its snapshot's layers; their indexes are read when they are first
    asked for. Threads may share it.
    """

    def __init__(self, store: Store, key: str, size: int, layers: tuple["Bundle", ...] = ()) -> None:
        self._store = store
        self._key = key
        self._size = size
        self._layers = layers
        self._lock = Lock()
        self._sizes: dict[str, int] | None = None

    def sizes(self) -> dict[str, int]:
        """Every member's name and size in bytes."""
        with self._lock:
            if self._sizes is None:
                with self._zip() as bundle:
                    own = {info.filename: info.file_size for info in bundle.infolist()}
                self._sizes = {name: size for layer in self._layers for name, size in layer.sizes().items()} | own
            return self._sizes

    def copy(self, name: str, target: BinaryIO) -> None:
        """Write one member's bytes to `target`; ObjectMissing, or ChecksumMismatch when the bundle is damaged."""
        if name not in self.sizes():
            raise ObjectMissing(f"there is no artifact '{name}'")
        for layer in self._layers:
            if name in layer.sizes():
                layer.copy(name, target)
                return
        try:
            with self._zip() as bundle, bundle.open(name) as member:
                shutil.copyfileobj(member, target, CHUNK)
        except zipfile.BadZipFile:
            raise ChecksumMismatch(f"the artifact '{name}' is damaged") from None

    def _zip(self) -> zipfile.ZipFile:
        raw = _RangedFile(self._store, self._key, self._size)
        try:
            return zipfile.ZipFile(io.BufferedReader(raw, _READ_AHEAD))
        except zipfile.BadZipFile:
            raise ChecksumMismatch("the bundle of artifacts is damaged") from None


def open_bundle(store: Store, manifest: Manifest) -> Bundle:
    """All artifacts of a snapshot; nothing is read yet."""
    refs = [layer.bundle for layer in manifest.layers if layer.bundle is not None]
    layers = tuple(Bundle(store, ref.name, ref.size) for ref in refs)
    return Bundle(store, manifest.bundle.name, manifest.bundle.size, layers)


class _RangedFile(io.RawIOBase):
    """An object of a store as a seekable file: every read asks for just that range."""

    def __init__(self, store: Store, key: str, size: int) -> None:
        self._store = store
        self._key = key
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]
        wanted = min(len(buffer), max(0, self._size - self._at))
        chunk = self._store.read(self._key, self._at, wanted) if wanted else b""
        buffer[: len(chunk)] = chunk
        self._at += len(chunk)
        return len(chunk)


def _copy(source: BinaryIO, target: IO[bytes], size: int) -> None:
    while size:
        chunk = source.read(min(size, CHUNK))
        target.write(chunk)
        size -= len(chunk)
