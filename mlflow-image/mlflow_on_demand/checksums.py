"""Checksums as stores tell them (`md5:…`, `adler32:…`), and a stream that takes that of what passes. Pure."""

import hashlib
import zlib
from collections.abc import Callable
from typing import BinaryIO, Protocol


class Digest(Protocol):
    """What takes bytes one after the other, as those of hashlib do."""

    def update(self, data: bytes, /) -> None:
        """Take more bytes."""

    def hexdigest(self) -> str:
        """Of all bytes so far."""


class _ZlibDigest:
    """A checksum of zlib in the form of hashlib's."""

    def __init__(self, step: Callable[[bytes, int], int], value: int) -> None:
        self._step, self._value = step, value

    def update(self, data: bytes, /) -> None:
        self._value = self._step(data, self._value)

    def hexdigest(self) -> str:
        return f"{self._value:08x}"


_MAKERS: dict[str, Callable[[], Digest]] = {
    "adler32": lambda: _ZlibDigest(zlib.adler32, 1),
    "crc32": lambda: _ZlibDigest(zlib.crc32, 0),
    "md5": lambda: hashlib.md5(usedforsecurity=False),
    "sha1": lambda: hashlib.sha1(usedforsecurity=False),
    "sha256": hashlib.sha256,
    "sha512": hashlib.sha512,
}


def make_digest(checksum: str | None) -> Digest | None:
    """What takes the bytes that should have this checksum; None where there is none, or none that we can make."""
    maker = _MAKERS.get((checksum or "").partition(":")[0])
    return None if maker is None else maker()


def is_same(digest: Digest, checksum: str) -> bool:
    """Whether the bytes have the checksum; leading zeros may be lacking, as they are in some servers' adler32."""
    return digest.hexdigest().lstrip("0") == checksum.partition(":")[2].lower().lstrip("0")


class DigestedStream:
    """A stream that takes the digest of what passes."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """As the source's."""
        chunk = self._source.read(size)
        self.digest.update(chunk)
        return chunk
