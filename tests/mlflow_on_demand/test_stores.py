"""The same cases on every backend, each on a real server."""

import io
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import requests

from bigpanda_laptop.s3 import S3Server
from mlflow_on_demand.errors import (
    AccessDenied,
    ObjectMissing,
    PreconditionFailed,
    StoreError,
    StoreUnavailable,
    StoreUriError,
)
from mlflow_on_demand.store import Store
from mlflow_on_demand.stores import open_store, split_uri
from support.http_servers import Apache
from support.xrootd_server import XRootDServer

BIG = bytes(range(256)) * 80_000  # 20 MB: more than one part of an S3 upload


def enter(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)


@pytest.fixture
def s3_uri(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    enter(s3_server.environment, monkeypatch)
    bucket = f"stores-{uuid.uuid4().hex[:12]}"
    (s3_server.folder / bucket).mkdir()
    return f"s3://{bucket}/some/prefix"


@pytest.fixture
def moto_uri(moto_server: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    enter(moto_server, monkeypatch)
    bucket = f"stores-{uuid.uuid4().hex[:12]}"
    requests.put(f"{moto_server['AWS_ENDPOINT_URL_S3']}/{bucket}", timeout=30).raise_for_status()
    return f"s3://{bucket}/some/prefix"


@pytest.fixture
def file_uri(tmp_path: Path) -> str:
    return (tmp_path / "störe with space").as_uri()


@pytest.fixture
def rclone_uri(rclone_webdav: str) -> str:
    return f"{rclone_webdav.replace('http:', 'dav:')}/{uuid.uuid4().hex}/st%C3%B6re with space"


@pytest.fixture
def apache_uri(apache: Apache) -> str:
    return f"{apache.dav}/{uuid.uuid4().hex}/st%C3%B6re with space"


@pytest.fixture
def xrootd_uri(xrootd_server: XRootDServer) -> str:
    return xrootd_server.uri(f"{uuid.uuid4().hex}/störe with space")


class EachTimeAnew:
    """A store that is opened for each call: what a wake reads first, it reads like this."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def __getattr__(self, name: str) -> Any:
        return getattr(open_store(self._uri), name)


# A backend is a fixture that gives the URI of an empty store on a real server.
BACKENDS = ["file_uri", "s3_uri", "s3_uri each time anew", "moto_uri", "rclone_uri", "apache_uri", "xrootd_uri"]
HEED_CONDITIONS = ["file_uri", "moto_uri", "apache_uri", "xrootd_uri"]
HEED_NONE = ["rclone_uri"]  # what is there is not overwritten, but for the rest see the Protocol


@pytest.fixture
def store(request: pytest.FixtureRequest) -> Store:
    name, _, anew = request.param.partition(" ")
    uri = request.getfixturevalue(name)
    return cast("Store", EachTimeAnew(uri)) if anew else open_store(uri)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each case for every backend, unless it names those that it is for."""
    if "store" in metafunc.fixturenames and not any(metafunc.definition.iter_markers("parametrize")):
        metafunc.parametrize("store", BACKENDS, indirect=True)


def write(store: Store, key: str, content: bytes = b"content") -> None:
    store.write(key, io.BytesIO(content))


def test_what_is_written_is_read(store: Store) -> None:
    written = store.write("a/b.txt", io.BytesIO(b"0123456789"))
    assert (written.key, written.size) == ("a/b.txt", 10)
    assert store.stat("a/b.txt") == written
    assert store.read("a/b.txt") == b"0123456789"
    with store.open("a/b.txt") as stream:
        assert stream.read(4) + stream.read() == b"0123456789"


def test_ranges(store: Store) -> None:
    write(store, "x", b"0123456789")
    assert [store.read("x", 2, 3), store.read("x", 8, 100), store.read("x", 7)] == [b"234", b"89", b"789"]
    assert [store.read("x", 10, 5), store.read("x", 99), store.read("x", 0, 0)] == [b"", b"", b""]


def test_large_objects_are_streamed(store: Store) -> None:
    assert store.write("big", io.BytesIO(BIG)).size == len(BIG)
    assert store.read("big", len(BIG) - 3, 3) == BIG[-3:]
    with store.open("big") as stream:
        assert b"".join(iter(lambda: stream.read(1_000_000), b"")) == BIG


def test_a_list_is_sorted_deep_and_by_prefix(store: Store) -> None:
    for key in ("b/2", "a", "b/1/x", "büro", "c"):
        write(store, key)
    assert [found.key for found in store.list()] == ["a", "b/1/x", "b/2", "büro", "c"]
    assert [found.key for found in store.list("b/")] == ["b/1/x", "b/2"]
    assert [found.size for found in store.list("a")] == [7]
    assert list(store.list("none")) == []
    assert replace(next(store.list("a")), checksum=None) == replace(store.stat("a"), checksum=None)


def test_nothing_was_written_yet(store: Store) -> None:
    assert list(store.list()) == []
    for act in (store.stat, store.read):
        with pytest.raises(ObjectMissing, match="nothing-here"):
            act("nothing-here")
    with pytest.raises(ObjectMissing), store.open("nothing-here"):
        pass
    store.delete("nothing-here")


def test_delete(store: Store) -> None:
    write(store, "a")
    store.delete("a")
    with pytest.raises(ObjectMissing):
        store.read("a")


def test_a_new_content_has_a_new_etag(store: Store) -> None:
    first = store.write("a", io.BytesIO(b"one"))
    second = store.write("a", io.BytesIO(b"two"))
    assert first.etag != second.etag
    assert store.read("a") == b"two"


def test_a_failed_write_leaves_what_was_there(store: Store) -> None:
    class Broken(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def read(self, size: int = -1) -> bytes:
            raise RuntimeError("the source broke")

    write(store, "a", b"old")
    with pytest.raises(RuntimeError, match="the source broke"):
        store.write("a", Broken())  # type: ignore[arg-type]
    assert store.read("a") == b"old"
    assert [found.key for found in store.list()] == ["a"]


def test_a_conditional_write_that_holds(store: Store) -> None:
    first = store.write_if("m", b"one", None)
    second = store.write_if("m", b"two", first.etag)
    assert store.read("m") == b"two"
    assert store.stat("m") == second


@pytest.mark.parametrize("store", HEED_CONDITIONS, indirect=True)
def test_a_store_whose_condition_fails_says_so(store: Store) -> None:
    """rclone's S3 server ignores conditions, as the Protocol warns."""
    stale = store.write_if("m", b"one", None)
    store.write_if("m", b"two", stale.etag)
    for etag in (None, stale.etag):
        with pytest.raises(PreconditionFailed):
            store.write_if("m", b"three", etag)
    with pytest.raises(PreconditionFailed):
        store.write_if("other", b"x", "an-etag")
    assert store.read("m") == b"two"


@pytest.mark.parametrize("store", [*HEED_CONDITIONS, *HEED_NONE], indirect=True)
def test_of_many_first_writers_one_wins(store: Store) -> None:
    def race(number: int) -> int:
        with suppress(PreconditionFailed):
            store.write_if("m", str(number).encode(), None)
            return 1
        return 0

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(race, range(32))) == 1
    assert [found.key for found in store.list()] == ["m"]


def test_keys_stay_below_the_directory(tmp_path: Path) -> None:
    store = open_store((tmp_path / "in").as_uri())
    for key in ("../out", "a/../../out", "/out", "a//b", ""):
        with pytest.raises(StoreError, match="is no key"):
            store.write(key, io.BytesIO(b""))
    assert list(tmp_path.iterdir()) == []


def test_uris() -> None:
    assert open_store("file:///a/b%20c/").uri == "file:///a/b%20c"
    assert split_uri("s3://bucket/a/b.tgz") == ("s3://bucket/a", "b.tgz")
    assert split_uri("file:///a/b%20c.tgz") == ("file:///a", "b c.tgz")
    assert open_store("davs://eos.example.org//eos/a%20b/").uri == "davs://eos.example.org//eos/a%20b"
    assert split_uri("https://host/a/b%20c.tgz") == ("https://host/a", "b c.tgz")
    for uri in (
        "",
        "/data",
        "ftp://host/x",
        "file://host/x",
        "s3:///x",
        "https:///x",
        "https://[",
        "https://me:pw@host/x",
    ):
        with pytest.raises(StoreUriError):
            open_store(uri)


@pytest.fixture
def opens(s3_uri: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Store]]:
    def open_with(uri: str = s3_uri, **environment: str) -> Store:
        for variable, value in environment.items():
            monkeypatch.setenv(variable, value)
        return open_store(uri)

    return open_with  # type: ignore[return-value]


def test_s3_without_a_prefix(opens: Callable[..., Store], s3_uri: str) -> None:
    bucket = "/".join(s3_uri.split("/")[:3])
    write(opens(s3_uri), "x")
    assert [found.key for found in opens(bucket).list()] == ["some/prefix/x"]
    assert opens(f"{bucket}/some/prefix/").uri == s3_uri


def test_s3_with_a_wrong_key(opens: Callable[..., Store]) -> None:
    store = opens(AWS_SECRET_ACCESS_KEY="wrong-secret")
    with pytest.raises(AccessDenied) as caught:
        list(store.list())
    assert "wrong-secret" not in str(caught.value)


def test_s3_without_a_bucket(opens: Callable[..., Store]) -> None:
    with pytest.raises(ObjectMissing, match="bucket"):
        list(opens("s3://no-such-bucket-here/x").list())


def test_s3_that_does_not_answer(opens: Callable[..., Store]) -> None:
    store = opens(AWS_ENDPOINT_URL_S3="http://127.0.0.1:9")
    with pytest.raises(StoreUnavailable, match="does not answer") as caught:
        store.read("x")
    assert caught.value.transient
