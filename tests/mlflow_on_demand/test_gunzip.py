import gzip
import io
import random
import zlib
from collections.abc import Callable

import pytest

from mlflow_on_demand.gunzip import Gunzip

NOISE = random.Random(1).randbytes(200_000)
PLAIN = b"metric 0.5 1\n" * 20_000
PACKED = gzip.compress(PLAIN)


class Dripping(io.BytesIO):
    """Gives a byte at a time, whatever it is asked for."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(1)


def read_all(content: bytes, size: int = 64 * 1024, stream: Callable[[bytes], io.BytesIO] = io.BytesIO) -> bytes:
    gunzip = Gunzip(stream(content))
    chunks = list(iter(lambda: gunzip.read(size), b""))
    assert all(len(chunk) <= size for chunk in chunks)
    assert gunzip.read(size) == b""
    return b"".join(chunks)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        gzip.compress(b""),
        PACKED,
        gzip.compress(NOISE, 0),
        PACKED + gzip.compress(b"") + gzip.compress(NOISE),
        PACKED + b"\0" * 100_000,
        gzip.compress(b"1") + b"\0\0\0" + gzip.compress(b"2") + b"\0",
    ],
)
@pytest.mark.parametrize("size", [1000, 64 * 1024, 10**6])
def test_it_reads_what_gzip_reads(content: bytes, size: int) -> None:
    assert read_all(content, size) == gzip.decompress(content)


@pytest.mark.parametrize("content", [gzip.compress(b"1") + b"\0\0" + gzip.compress(b"2"), gzip.compress(PLAIN)])
def test_it_does_not_matter_in_what_pieces_the_stream_comes(content: bytes) -> None:
    assert read_all(content, stream=Dripping) == gzip.decompress(content)


@pytest.mark.parametrize("keep", [1, 2, 9, 17, len(PACKED) // 2, len(PACKED) - 8, len(PACKED) - 1])
def test_a_stream_that_ends_too_early_is_told(keep: int) -> None:
    with pytest.raises((EOFError, gzip.BadGzipFile)) as told:
        read_all(PACKED[:keep])
    assert isinstance(told.value, EOFError) or keep == 1  # one byte is nothing that could be told from another file


@pytest.mark.parametrize("content", [b"x", b"no gzip at all", b"\0" + PACKED, PACKED + b"x", PACKED + b"\0garbage"])
def test_what_does_not_begin_as_gzip_does_is_none(content: bytes) -> None:
    with pytest.raises(gzip.BadGzipFile, match="Not a gzipped file"):
        read_all(content)


@pytest.mark.parametrize("at", [3, len(PACKED) // 2, len(PACKED) - 5, len(PACKED) - 1])
def test_damage_is_told(at: int) -> None:
    damaged = bytearray(PACKED)
    damaged[at] ^= 0xFF
    with pytest.raises((zlib.error, EOFError)):  # damage may look like the beginning of something longer
        read_all(bytes(damaged))


def test_it_reads_no_more_of_the_stream_than_it_needs() -> None:
    stream = io.BytesIO(gzip.compress(NOISE))
    assert Gunzip(stream).read(1000) == NOISE[:1000]
    assert stream.tell() < len(NOISE) // 2
