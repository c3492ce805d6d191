"""WebDAV as XRootD's own door speaks it (XrdHttp), which that of EOS is akin to: no etags, checksums where they are
asked for, times in lists alone.
"""

import io
import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest

from mlflow_on_demand.errors import ObjectMissing, PreconditionFailed, TransferDamaged
from mlflow_on_demand.store import Store
from mlflow_on_demand.stores import open_store
from support.faulty_http import Fault, FaultyHttp, faulty_http
from support.serving import free_port
from support.xrootd_server import EXPORT, ground, serving_xrootd

CONTENT = bytes(range(256)) * 12_000


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    port = free_port()
    with ground() as place, serving_xrootd(place, f"xrd.protocol XrdHttp:{port} libXrdHttp.so"):
        yield f"http://localhost:{port}"


@pytest.fixture(scope="module")
def proxy(address: str) -> Iterator[FaultyHttp]:
    with faulty_http(address) as proxy:
        yield proxy


@pytest.fixture
def store(address: str) -> Store:
    return open_store(f"{address.replace('http', 'dav', 1)}/{EXPORT}/{uuid.uuid4().hex}")


def test_what_is_written_is_read_and_listed(store: Store) -> None:
    written = store.write("a/b.txt", io.BytesIO(b"0123456789"))
    assert (written.size, written.checksum) == (10, "adler32:0aff020e")
    assert store.stat("a/b.txt") == written
    assert list(store.list()) == list(store.list("a/")) == [replace(written, checksum=None)]
    store.write("a/b.txt", io.BytesIO(b"other"))
    assert store.read("a/b.txt") == b"other"
    store.delete("a/b.txt")
    assert list(store.list()) == []


def test_ranges(store: Store) -> None:
    store.write("x", io.BytesIO(b"0123456789"))
    assert [store.read("x", 2, 3), store.read("x", 8, 100), store.read("x", 7)] == [b"234", b"89", b"789"]
    assert [store.read("x", 10, 5), store.read("x", 99), store.read("x", 0, 0)] == [b"", b"", b""]


def test_nothing_is_there(store: Store) -> None:
    assert list(store.list()) == []
    for act in (store.stat, store.read):
        with pytest.raises(ObjectMissing, match="'nothing'"):
            act("nothing")
    store.delete("nothing")


def test_conditions(store: Store) -> None:
    first = store.write_if("m", b"one", None)
    with pytest.raises(PreconditionFailed):
        store.write_if("m", b"two", None)
    with pytest.raises(PreconditionFailed):
        store.write_if("m", b"two", "other")
    store.write_if("m", b"three", first.etag)
    assert store.read("m") == b"three"
    assert [found.key for found in store.list()] == ["m"]


def test_names_with_escapes_are_written_directly(store: Store) -> None:
    """A move to one would lead elsewhere, in 5.5."""
    keys = ["a b/büro 100%", "a b/x"]
    for key in keys:
        store.write(key, io.BytesIO(key.encode()))
        assert store.read(key) == key.encode()
    assert [found.key for found in store.list()] == keys
    assert [found.key for found in open_store(store.uri.rpartition("/")[0]).list() if "%20" in found.key] == []


def test_it_is_gone_on_with_and_compared_by_its_checksum(store: Store, proxy: FaultyHttp) -> None:
    store.write("x", io.BytesIO(CONTENT))
    behind = open_store(f"{proxy.address}/{EXPORT}/{store.uri.rpartition('/')[2]}")
    proxy.expect(Fault(cut=1_000_000))
    assert behind.read("x") == CONTENT
    assert proxy.count("GET") == 2
    proxy.expect(Fault(flip=1_000_000))
    with behind.open("x") as stream, pytest.raises(TransferDamaged, match="adler32"):
        stream.read()
