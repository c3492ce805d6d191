"""Reading ahead keeps the order and its bounds, and tells what went wrong in its turn."""

import io
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest

from mlflow_on_demand.errors import ObjectMissing, StoreUnavailable, TransferDamaged
from mlflow_on_demand.ingest import IngestRequest, ingest_task
from mlflow_on_demand.reach import PRIVATE_HOSTS
from mlflow_on_demand.read_ahead import Ahead, Place, read_ahead
from mlflow_on_demand.store import Store
from mlflow_on_demand.store_file import FileStore
from mlflow_on_demand.stores import open_store
from mlflow_on_demand.transfer import within
from support.faulty_http import Fault, faulty_http
from support.hpo_files import TASK, Point, name, run_id, tarball
from support.http_servers import Apache


class Watched(FileStore):
    """A store in a directory that keeps count of what is read at once, and can hold its readers."""

    def __init__(self, directory: Path) -> None:
        super().__init__(str(directory))
        self.lock = threading.Lock()
        self.now, self.most, self.begun, self.streamed = 0, 0, 0, 0
        self.gate = threading.Event()
        self.gate.set()

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        with self.lock:
            self.now += 1
            self.begun += 1
            self.most = max(self.most, self.now)
        self.gate.wait()
        content = super().read(key, start, length)
        with self.lock:
            self.now -= 1
        return content

    @contextmanager
    def open(self, key: str) -> Iterator[BinaryIO]:
        self.streamed += 1
        with super().open(key) as stream:
            yield stream


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def fill(store: Store, *sizes: int) -> list[str]:
    keys = [f"{number:03}" for number in range(len(sizes))]
    for number, size in enumerate(sizes):
        store.write(keys[number], io.BytesIO(bytes([number]) * size))
    return keys


def place_in(store: Store) -> Callable[[str], Place]:
    return lambda key: Place(store, key, store.stat(key).size)


def contents(store: Store, keys: list[str], ahead: Ahead) -> list[bytes]:
    read: list[bytes] = []
    for key, content in read_ahead(keys, place_in(store), ahead):
        assert key == keys[len(read)]
        with content as stream:
            read.append(stream.read())
    return read


def test_the_order_is_kept(watched: Watched) -> None:
    sizes = [10, 0, 5000, 1, 200, 5000, 7] * 10
    keys = fill(watched, *sizes)
    ahead = Ahead(connections=4, objects=8, bytes=5000, bytes_each=1000)
    assert contents(watched, keys, ahead) == [bytes([number]) * size for number, size in enumerate(sizes)]
    assert watched.streamed == 20
    assert watched.most <= 4


@pytest.mark.parametrize(
    ("ahead", "begun"),
    [
        (Ahead(connections=16, objects=5), 5),
        (Ahead(connections=16, objects=16, bytes=350), 3),
        (Ahead(connections=2, objects=16), 2),
        (Ahead(connections=16, objects=16, bytes=50, bytes_each=100), 1),  # one always may
    ],
)
def test_so_much_is_read_ahead_and_no_more(watched: Watched, ahead: Ahead, begun: int) -> None:
    keys = fill(watched, *[100] * 20)
    watched.gate.clear()
    with closing(read_ahead(keys, place_in(watched), ahead)) as reading:
        next(reading)
        while watched.now < begun:
            pass
        assert watched.begun == begun
        watched.gate.set()
    assert watched.begun <= begun + 1  # what was not begun when nobody wanted more is not begun any more


def test_an_error_comes_in_its_turn(watched: Watched) -> None:
    keys = fill(watched, *[10] * 5)
    reading = read_ahead(keys, lambda key: Place(watched, key, 10))
    watched.delete(keys[2])
    with closing(reading):
        for number, (_, content) in enumerate(reading):
            if number != 2:
                with content as stream:
                    assert len(stream.read()) == 10
            else:
                with pytest.raises(ObjectMissing, match="'002'"), content:
                    pass


def test_nothing_to_read(watched: Watched) -> None:
    assert contents(watched, [], Ahead()) == []


@pytest.fixture
def task(apache: Apache) -> tuple[str, Path]:
    """A server without WebDAV that tells checksums, and the folder with tarballs that it serves."""
    folder = apache.folder / "plain" / uuid.uuid4().hex
    folder.mkdir()
    for number in (1, 2, 3):
        (folder / name(number)).write_bytes(tarball(Point(run_id(number))))
    return apache.plain, folder


@pytest.mark.parametrize("each", [None, 0])
def test_a_flipped_byte_on_the_way_is_no_damaged_tarball(
    task: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, each: int | None
) -> None:
    """Read whole, it is read again; streamed (none may be held), the ingest fails and may be repeated."""
    server, folder = task
    monkeypatch.setenv(PRIVATE_HOSTS, "127.0.0.1")
    with faulty_http(server) as proxy:
        artifacts = tuple(f"{proxy.address}/{folder.name}/{name(number)}" for number in (1, 2, 3))
        request = IngestRequest(TASK, artifacts, (tmp_path / "store").as_uri())
        proxy.expect(Fault(flip=200))
        if each is not None:
            monkeypatch.setattr("mlflow_on_demand.read_ahead.AHEAD", Ahead(bytes_each=each))
            with pytest.raises(TransferDamaged):
                ingest_task(request)
        manifest = ingest_task(request).manifest
    assert (manifest.runs, manifest.lost) == (3, ())


def test_it_keeps_to_the_time_of_who_asks(task: tuple[str, Path]) -> None:
    server, folder = task
    with faulty_http(server) as proxy:
        store = open_store(f"{proxy.address}/{folder.name}")
        proxy.expect(*[Fault(drip=0.2)] * 8)
        with (
            within(0.5),
            closing(read_ahead([name(1)], lambda key: Place(store, key, 1))) as reading,
            pytest.raises(StoreUnavailable, match="not done in time"),
            next(reading)[1],
        ):
            pass
