"""Reads a metrics tarball as a stream, and refuses what could hurt: nothing is ever written under a name it brings.

Tarballs come from worker nodes and are not trusted. A path that leaves the archive, a link, a device, or more bytes
than allowed condemns the whole tarball (TarballError, whose message becomes its reason in the manifest), and so does a
damaged or truncated gzip stream. Memory stays bounded by what the caller reads of each member.
"""

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, BinaryIO, Self, cast

from mlflow_on_demand.errors import TarballDamaged, TarballError

_BLOCK = 64 * 1024
# Compression ratios are judged behind this many bytes: small files of one repeated line are honest.
_RATIO_FROM = 16 * 2**20
# What tar may read between two members: headers, long names, pax records.
_HEADER_BYTES = 2**20
# Offsets of fields in a tar header, and the type of a regular file.
_TYPE, _PREFIX, _FILE = 156, 345, ord("0")
_DAMAGE = (tarfile.TarError, zlib.error, gzip.BadGzipFile, EOFError, UnicodeError)


@dataclass(frozen=True)
class Limits:
    """What one tarball may cost: bytes and members after unpacking, their ratio to the compressed bytes, and the bytes
    of its text files (parameters, tags, meta.yaml), which are held in memory.
    """

    max_bytes: int = 4 * 2**30
    max_members: int = 200_000
    max_ratio: int = 300
    max_text_bytes: int = 64 * 2**20


@dataclass(frozen=True)
class Member:
    """One regular file of the archive; `content` is read at most once, before the next member is asked for."""

    path: tuple[str, ...]
    size: int
    content: BinaryIO


def read_members(stream: BinaryIO, limits: Limits) -> Iterator[Member]:
    """The regular files of a gzip'ed tar stream, in its order.

    Raises TarballError for anything refused or damaged; errors of the store behind `stream` pass through.
    """
    bounded = _BoundedStream(stream, limits)
    try:
        yield from _read_entries(bounded, limits)
    except _DAMAGE as error:
        raise _tell_damage(error) from None


def _read_entries(bounded: "_BoundedStream", limits: Limits) -> Iterator[Member]:
    file = cast("IO[bytes]", bounded)
    with tarfile.open(fileobj=file, mode="r|", bufsize=_BLOCK, encoding="utf-8", tarinfo=_Entry) as archive:
        for count, entry in enumerate(archive, start=1):
            if count > limits.max_members:
                raise TarballError(f"holds more than {limits.max_members} files")
            path = _safe_path(entry, limits)
            bounded.begin_content()
            if path and entry.isreg():
                # The stream stands at the member's first byte; what `extractfile` would make costs more than most
                # members' content.
                content = cast("BinaryIO", _Content(cast("BinaryIO", archive.fileobj), entry.size))
                yield Member(path, entry.size, content)
                _skip(content)
            bounded.begin_header()
        bounded.begin_content()
        _skip(cast("BinaryIO", bounded))  # only the end of the gzip stream holds its checksum


class _Entry(tarfile.TarInfo):
    """Reads the plain header of a file, as nearly all are, in a third of the time: without owner, mode and times, which
    nobody asks for. Anything else is left to tarfile.
    """

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        is_plain = len(buf) == tarfile.BLOCKSIZE and buf[_TYPE] == _FILE and not buf[_PREFIX]
        checksum = buf[148:156]
        try:
            # As in tarfile: the checksum is that of a header whose own field is blank.
            if is_plain and int(checksum.strip(b"\0 "), 8) == sum(buf) - sum(checksum) + 256:
                size = int(buf[124:136].strip(b"\0 "), 8)
                entry = cls(buf[:100].partition(b"\0")[0].decode(encoding, errors))
                entry.size, entry.type = size, tarfile.REGTYPE
                return entry
        except ValueError:
            pass
        return super().frombuf(buf, encoding, errors)


def _safe_path(entry: tarfile.TarInfo, limits: Limits) -> tuple[str, ...]:
    # tarfile would step over the bytes that a header announces one block after the other, far behind the file's end.
    if not 0 <= entry.size <= limits.max_bytes:
        raise TarballError(f"unpacks to more than {limits.max_bytes} bytes")
    name = entry.name
    if not _is_text(name):
        raise TarballError("holds a file name that is no UTF-8 text")
    if entry.issym() or entry.islnk():
        raise TarballError(f"holds a link ({name})")
    if not (entry.isreg() or entry.isdir()) or entry.sparse is not None:
        raise TarballError(f"holds something that is neither a file nor a directory ({name})")
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if name.startswith("/") or ".." in parts:
        raise TarballError(f"holds a path that leads out of it ({name})")
    return parts


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return "\0" not in name


def _skip(content: BinaryIO) -> None:
    while content.read(_BLOCK):
        pass


def _tell_damage(error: Exception) -> TarballDamaged:
    if isinstance(error, EOFError) or "unexpected end of data" in str(error):
        return TarballDamaged("is cut short")
    if isinstance(error, gzip.BadGzipFile) and "Not a gzipped file" in str(error):
        return TarballDamaged("is no gzip file")
    return TarballDamaged("is damaged")


class _Content:
    """One member's bytes, read by whoever asked for the member: damage is told to him too."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._left = size

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        if not wanted:
            return b""
        try:
            chunk = self._stream.read(wanted)
        except _DAMAGE as error:
            raise _tell_damage(error) from None
        if len(chunk) < wanted:
            raise TarballDamaged("is cut short")
        self._left -= wanted
        return chunk


class _CountedStream:
    """The compressed bytes, counted."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.count = 0

    def read(self, size: int = -1) -> bytes:
        chunk = self._stream.read(size)
        self.count += len(chunk)
        return chunk


class _BoundedStream:
    """The uncompressed bytes, counted against the limits as they are made, so that no bomb unpacks further."""

    def __init__(self, stream: BinaryIO, limits: Limits) -> None:
        self._compressed = _CountedStream(stream)
        self._plain = gzip.GzipFile(fileobj=cast("BinaryIO", self._compressed), mode="rb")
        self._limits = limits
        self._count = 0
        self._header_end: int | None = _HEADER_BYTES

    def begin_content(self) -> None:
        self._header_end = None

    def begin_header(self) -> None:
        self._header_end = self._count + _HEADER_BYTES

    def read(self, size: int = -1) -> bytes:
        chunk = self._plain.read(min(size, _BLOCK) if size >= 0 else _BLOCK)
        self._count += len(chunk)
        if self._count > self._limits.max_bytes:
            raise TarballError(f"unpacks to more than {self._limits.max_bytes} bytes")
        if self._count > max(_RATIO_FROM, self._compressed.count * self._limits.max_ratio):
            raise TarballError(f"unpacks to more than {self._limits.max_ratio} times its size")
        if self._header_end is not None and self._count > self._header_end:
            raise TarballError("has an entry with an oversized header")
        return chunk
