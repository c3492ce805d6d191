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
from typing import IO, BinaryIO, NamedTuple, Protocol, Self, cast

from mlflow_on_demand.errors import TarballDamaged, TarballError
from mlflow_on_demand.gunzip import Gunzip

_BLOCK = 64 * 1024
# Compression ratios are judged behind this many bytes: small files of one repeated line are honest.
_RATIO_FROM = 16 * 2**20
# What tar may read between two members: headers, long names, pax records.
_HEADER_BYTES = 2**20
# Offsets of fields in a tar header, and the types of a file and a directory.
_TYPE, _PREFIX = 156, 345
_PLAIN = {ord(kind): kind for kind in (tarfile.REGTYPE, tarfile.DIRTYPE)}
_ADLER_BASE = 65521
_HERE = frozenset({"", "."})
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


class Member(NamedTuple):
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
    """Nearly all have a plain header and are read here, in half of the time that tarfile takes. From the first other
    one on, everything is left to tarfile.
    """
    count = 0
    header = bounded.read(tarfile.BLOCKSIZE)
    while (plain := _Entry.read_plain(header)) is not None:
        count += 1
        yield from _read_entry(plain, count, bounded, limits)
        _read_whole(bounded, -plain.size % tarfile.BLOCKSIZE)
        header = bounded.read(tarfile.BLOCKSIZE)
    if any(header) or not count:
        bounded.push_back(header)
        yield from _read_others(bounded, count, limits)
    while bounded.read(_BLOCK):
        pass  # only the end of the gzip stream holds its checksum


def _read_others(bounded: "_BoundedStream", count: int, limits: Limits) -> Iterator[Member]:
    bounded.begin_header()
    file = cast("IO[bytes]", bounded)
    with tarfile.open(fileobj=file, mode="r|", bufsize=_BLOCK, encoding="utf-8", tarinfo=_Entry) as archive:
        for number, entry in enumerate(archive, start=count + 1):
            bounded.begin_content()
            # The stream stands at the member's first byte; what `extractfile` would make costs more than most
            # members' content.
            yield from _read_entry(entry, number, cast("BinaryIO", archive.fileobj), limits)
            bounded.begin_header()
        bounded.begin_content()


def _read_entry(entry: tarfile.TarInfo, count: int, stream: "_Readable", limits: Limits) -> Iterator[Member]:
    if count > limits.max_members:
        raise TarballError(f"holds more than {limits.max_members} files")
    path = _safe_path(entry, limits)
    if entry.isreg():
        content = _Content(stream, entry.size)
        if path:
            yield Member(path, entry.size, cast("BinaryIO", content))
        content.skip()


class _Entry(tarfile.TarInfo):
    """Reads a plain header without what nobody asks for: owner, mode and times."""

    @classmethod
    def read_plain(cls, buf: bytes | bytearray) -> Self | None:
        """The entry of a file or directory without extensions; None when the header is another one, or none."""
        kind = _PLAIN.get(buf[_TYPE]) if len(buf) == tarfile.BLOCKSIZE and not buf[_PREFIX] else None
        if kind is None:
            return None
        checksum = buf[148:156]
        try:
            # As in tarfile: the checksum is the sum of a header whose own field is blank. Adler-32 has the sum of its
            # bytes in it, and is made in a tenth of the time.
            total = int(checksum.strip(b"\0 "), 8) + sum(checksum) - 256
            if (total + 1) % _ADLER_BASE != zlib.adler32(buf) & 0xFFFF:
                return None
            entry = cls(buf[:100].partition(b"\0")[0].decode("utf-8", "surrogateescape"))
            entry.type, entry.size = kind, int(buf[124:136].strip(b"\0 "), 8)
        except ValueError:
            return None
        return entry if not entry.size or kind == tarfile.REGTYPE else None

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        return cls.read_plain(buf) or super().frombuf(buf, encoding, errors)


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
    parts = name.split("/")
    if name.startswith("/") or ".." in parts:
        raise TarballError(f"holds a path that leads out of it ({name})")
    return tuple(parts) if _HERE.isdisjoint(parts) else tuple(part for part in parts if part not in _HERE)


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return "\0" not in name


def _read_whole(stream: "_Readable", size: int) -> bytes:
    chunk = stream.read(size)
    if len(chunk) < size:
        raise TarballDamaged("is cut short")
    return chunk


def _tell_damage(error: Exception) -> TarballDamaged:
    if isinstance(error, EOFError) or "unexpected end of data" in str(error):
        return TarballDamaged("is cut short")
    if isinstance(error, gzip.BadGzipFile) and "Not a gzipped file" in str(error):
        return TarballDamaged("is no gzip file")
    return TarballDamaged("is damaged")


class _Readable(Protocol):
    """What gives as many bytes as it is asked for, and fewer only at its end."""

    def read(self, size: int, /) -> bytes: ...


class _Content:
    """One member's bytes, read by whoever asked for the member: damage is told to him too."""

    def __init__(self, stream: _Readable, size: int) -> None:
        self._stream = stream
        self._left = size

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        if not wanted:
            return b""
        try:
            chunk = _read_whole(self._stream, wanted)
        except _DAMAGE as error:
            raise _tell_damage(error) from None
        self._left -= wanted
        return chunk

    def skip(self) -> None:
        """Read what nobody has read."""
        while self._left:
            self.read(_BLOCK)


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
        self._plain = Gunzip(cast("BinaryIO", self._compressed))
        self._limits = limits
        self._count = 0
        self._header_end: int | None = None
        self._block, self._at = b"", 0

    def begin_content(self) -> None:
        self._header_end = None

    def begin_header(self) -> None:
        """What tarfile reads from here on is no content."""
        self._header_end = self._count + _HEADER_BYTES

    def push_back(self, chunk: bytes) -> None:
        """To be read once more."""
        self._block, self._at = chunk + self._block[self._at :], 0

    def read(self, size: int) -> bytes:
        """So many bytes, fewer only at the end."""
        chunk = self._take(size)
        if len(chunk) == size:
            return chunk
        chunks = [chunk]
        missing = size - len(chunk)
        while missing and (block := self._unpack()):
            self._block, self._at = block, 0
            chunks.append(self._take(missing))
            missing -= len(chunks[-1])
        return b"".join(chunks)

    def _take(self, size: int) -> bytes:
        chunk = self._block[self._at : self._at + size]
        self._at += len(chunk)
        return chunk

    def _unpack(self) -> bytes:
        block = self._plain.read(_BLOCK)
        self._count += len(block)
        if self._count > self._limits.max_bytes:
            raise TarballError(f"unpacks to more than {self._limits.max_bytes} bytes")
        if self._count > max(_RATIO_FROM, self._compressed.count * self._limits.max_ratio):
            raise TarballError(f"unpacks to more than {self._limits.max_ratio} times its size")
        if self._header_end is not None and self._count > self._header_end:
            raise TarballError("has an entry with an oversized header")
        return block
