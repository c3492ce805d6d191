"""Reads gzip as a stream, as `gzip.GzipFile` does, in half of its time for files of some ten kilobytes: its layers of
buffers and its own checksum cost as much there as the unpacking, and zlib knows gzip's headers and checksums itself.
"""

import gzip
import zlib
from typing import BinaryIO

_BLOCK = 64 * 1024
_MAGIC = b"\x1f\x8b"
_WITH_GZIP_HEADER = zlib.MAX_WBITS + 16


class Gunzip:
    """What a gzip stream (RFC 1952) holds in all its members, behind each of which there may be zeros."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._rest = b""
        self._member: zlib._Decompress | None = None

    def read(self, size: int) -> bytes:
        """At most so many bytes, and none only at the end.

        gzip.BadGzipFile where a member does not begin as one, EOFError where it ends too early, zlib.error where it is
        damaged.
        """
        chunk = b""
        while not chunk and (member := self._find_member()):
            self._rest = self._rest or self._stream.read(_BLOCK)
            chunk = member.decompress(self._rest, size)
            if not (self._rest or chunk or member.eof):
                raise EOFError
            self._rest = member.unused_data if member.eof else member.unconsumed_tail
        return chunk

    def _find_member(self) -> "zlib._Decompress | None":
        """The one under way, or the next; None behind the last."""
        if self._member is not None and not self._member.eof:
            return self._member
        padding = b"" if self._member is None else b"\0"
        self._rest = self._rest.lstrip(padding)
        while len(self._rest) < len(_MAGIC) and (block := self._stream.read(_BLOCK)):
            self._rest = (self._rest + block).lstrip(padding)
        if not self._rest:
            return None
        if not self._rest.startswith(_MAGIC):
            raise gzip.BadGzipFile("Not a gzipped file")
        self._member = zlib.decompressobj(_WITH_GZIP_HEADER)
        return self._member
