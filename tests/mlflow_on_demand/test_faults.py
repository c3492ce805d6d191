"""What a store's client does on a bad day: real servers behind a proxy that breaks what they say."""

import io
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from bigpanda_laptop.s3 import S3Server
from mlflow_on_demand.errors import (
    AccessDenied,
    ObjectChanged,
    ObjectMissing,
    RangeBehindEnd,
    StoreError,
    StoreUnavailable,
    TransferDamaged,
)
from mlflow_on_demand.store import Store
from mlflow_on_demand.store_s3 import S3Store
from mlflow_on_demand.stores import open_store
from mlflow_on_demand.transfer import PATIENCE, within
from support.faulty_http import Fault, FaultyHttp, faulty_http
from support.http_servers import Apache

CONTENT = bytes(range(256)) * 12_000
HALF = 1_500_000
OTHER = b"other " * 500_000


@dataclass
class Scene:
    """An object `x` with CONTENT, a store that reads it through the proxy, and how another replaces it."""

    store: Store
    proxy: FaultyHttp
    replace: Callable[[bytes], object]

    def ranges(self) -> list[str]:
        return [headers["Range"] for _, _, headers in self.proxy.seen if "Range" in headers]


@pytest.fixture(scope="module")
def s3_proxy(s3_server: S3Server) -> Iterator[FaultyHttp]:
    with faulty_http(s3_server.endpoint) as proxy:
        yield proxy


@pytest.fixture
def s3(s3_server: S3Server, s3_proxy: FaultyHttp, monkeypatch: pytest.MonkeyPatch) -> Scene:
    for name, value in {**s3_server.environment, "AWS_ENDPOINT_URL_S3": s3_proxy.address}.items():
        monkeypatch.setenv(name, value)
    bucket = f"faults-{uuid.uuid4().hex[:12]}"
    (s3_server.folder / bucket).mkdir()
    store = S3Store(bucket, "")
    store.write("x", io.BytesIO(CONTENT))
    return Scene(store, s3_proxy, lambda content: store.write("x", io.BytesIO(content)))


@pytest.fixture
def light(s3: Scene) -> Scene:
    """What a wake reads first: without boto3 until something goes wrong."""
    return Scene(open_store(s3.store.uri), s3.proxy, s3.replace)


@pytest.fixture(scope="module")
def http_proxy(apache: Apache) -> Iterator[FaultyHttp]:
    with faulty_http(apache.plain) as proxy:
        yield proxy


@pytest.fixture
def http(apache: Apache, http_proxy: FaultyHttp) -> Scene:
    """Apache's files, of which it tells the md5."""
    folder = apache.folder / "plain" / uuid.uuid4().hex
    folder.mkdir()
    target: Path = folder / "x"
    target.write_bytes(CONTENT)
    return Scene(open_store(f"{http_proxy.address}/{folder.name}"), http_proxy, target.write_bytes)


@pytest.fixture(params=["s3", "light", "http"])
def scene(request: pytest.FixtureRequest) -> Scene:
    scene: Scene = request.getfixturevalue(request.param)
    scene.proxy.expect()
    return scene


PASSING = [Fault(status=503), Fault(status=500), Fault(reset=0), Fault(cut=0), Fault(cut=7), Fault(reset=HALF)]


@pytest.mark.parametrize("fault", PASSING, ids=str)
def test_what_passes_is_tried_again(scene: Scene, fault: Fault) -> None:
    scene.proxy.expect(fault)
    assert scene.store.read("x") == CONTENT
    assert not scene.proxy.plan


def test_a_stream_goes_on_where_it_broke_off(scene: Scene) -> None:
    scene.proxy.expect(Fault(cut=HALF), Fault(reset=1000))
    with scene.store.open("x") as stream:
        assert stream.read(10) == CONTENT[:10]
        assert stream.read() == CONTENT[10:]
    last = len(CONTENT) - 1
    assert scene.ranges() == [f"bytes={HALF}-{last}", f"bytes={HALF + 1000}-{last}"]


def test_a_part_goes_on_where_it_broke_off(scene: Scene) -> None:
    scene.proxy.expect(Fault(cut=5))
    assert scene.store.read("x", 1000, 20) == CONTENT[1000:1020]
    assert scene.ranges()[-1] == "bytes=1005-1019"


def test_an_object_that_changed_is_not_gone_on_with(scene: Scene) -> None:
    scene.proxy.expect(Fault(cut=HALF))
    with scene.store.open("x") as stream:
        assert stream.read(10) == CONTENT[:10]
        scene.replace(OTHER)
        with pytest.raises(ObjectChanged, match="'x' was replaced while it was read"):
            stream.read()
    assert scene.store.read("x") == OTHER


def test_a_whole_read_of_what_changed_gives_the_new(scene: Scene) -> None:
    scene.proxy.expect(Fault(cut=HALF))
    before = PATIENCE.pause_after

    def replace_meanwhile(failures: int) -> float:
        scene.replace(OTHER)
        return before(failures)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(PATIENCE), "pause_after", lambda _, failures: replace_meanwhile(failures))
        assert scene.store.read("x") == OTHER


def test_a_flipped_byte_is_noticed(scene: Scene) -> None:
    scene.proxy.expect(Fault(flip=HALF))
    with scene.store.open("x") as stream, pytest.raises(TransferDamaged, match="'x' came damaged: its md5"):
        stream.read()
    scene.proxy.expect(Fault(flip=HALF))
    assert scene.store.read("x") == CONTENT
    scene.proxy.expect(*[Fault(flip=HALF)] * 8)
    with pytest.raises(TransferDamaged) as caught:
        scene.store.read("x")
    assert caught.value.transient


@pytest.mark.parametrize(
    ("status", "error", "reason"),
    [
        (403, AccessDenied, "denies access to 'x'"),
        (404, ObjectMissing, "there is no 'x'"),
        (416, RangeBehindEnd, "'x' ends before that range"),
    ],
)
def test_what_does_not_pass_is_given_up(scene: Scene, status: int, error: type[StoreError], reason: str) -> None:
    scene.proxy.expect(*[Fault(status=status)] * 8)
    with pytest.raises(error, match=reason) as caught:
        scene.store.read("x")
    assert not caught.value.transient
    assert scene.proxy.count("GET") <= 2  # of the light one, boto3 has the last word


def test_a_store_that_stays_broken_is_given_up(scene: Scene) -> None:
    scene.proxy.expect(*[Fault(status=503)] * 40)
    with pytest.raises(StoreUnavailable):
        scene.store.read("x")
    assert 2 <= scene.proxy.count("GET") <= 12
    scene.proxy.expect(*[Fault(cut=0)] * 40)
    with scene.store.open("x") as stream, pytest.raises(StoreUnavailable, match="broke off"):
        stream.read()
    assert 2 <= scene.proxy.count("GET") <= 12


def test_a_slow_store_is_given_up_in_time(scene: Scene) -> None:
    """Each byte comes long before any connection gives up, and all of them would take a week."""
    scene.proxy.expect(*[Fault(drip=0.2)] * 8)
    with pytest.raises(StoreUnavailable, match="not done in time"), within(0.5):
        scene.store.read("x")


def test_a_list_is_tried_again(s3: Scene, rclone_webdav: str) -> None:
    s3.proxy.expect(Fault(status=503), Fault(reset=10))
    assert [found.key for found in s3.store.list()] == ["x"]
    with faulty_http(rclone_webdav) as proxy:
        store = open_store(f"{proxy.address}/{uuid.uuid4().hex}")
        store.write("a/x", io.BytesIO(CONTENT))
        proxy.expect(*[Fault(status=503, method="PROPFIND"), Fault(cut=10, method="PROPFIND")])
        assert [found.key for found in store.list()] == ["a/x"]
        assert not proxy.plan


@pytest.mark.parametrize("method", ["PUT", "MOVE"])
@pytest.mark.parametrize("fault", [Fault(status=503), Fault(cut=0), Fault(reset=0)], ids=str)
def test_a_write_is_tried_again(rclone_webdav: str, method: str, fault: Fault) -> None:
    with faulty_http(rclone_webdav) as proxy:
        store = open_store(f"{proxy.address}/{uuid.uuid4().hex}")
        store.write("x", io.BytesIO(b"old"))
        proxy.expect(replace(fault, method=method))
        store.write("x", io.BytesIO(CONTENT))
        assert not proxy.plan
        assert store.read("x") == CONTENT
        assert [found.key for found in store.list()] == ["x"]
