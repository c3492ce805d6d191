"""XRootD over a wire that fails: what is taken up again, what is noticed, and what ends."""

import io
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from mlflow_on_demand.errors import StoreUnavailable, TransferDamaged
from mlflow_on_demand.store_xrootd import XRootDStore
from support.faulty_tcp import Wire, wired
from support.xrootd_server import XRootDServer
from support.xrootd_use import use_elsewhere

BIG = bytes(range(256)) * 20_000  # 5 MB


@pytest.fixture
def wire(xrootd_server: XRootDServer) -> Iterator[Wire]:
    with wired(xrootd_server.port) as wire:
        yield wire


@pytest.fixture
def uri(wire: Wire) -> str:
    return f"root://localhost:{wire.port}//eos/{uuid.uuid4().hex}"


@pytest.fixture
def on_disk(uri: str, xrootd_server: XRootDServer) -> Path:
    return xrootd_server.data / uri.rpartition("/")[2]


@pytest.fixture
def store(uri: str) -> XRootDStore:
    return XRootDStore(uri)


def test_a_read_that_is_cut_goes_on(store: XRootDStore, wire: Wire) -> None:
    store.write("big", io.BytesIO(BIG))
    before = wire.connections
    wire.reset("server", cut_at=3_000_000)
    with store.open("big") as stream:
        assert stream.read() == BIG
    assert wire.connections > before


def test_a_flipped_byte_is_noticed(store: XRootDStore, wire: Wire) -> None:
    store.write("big", io.BytesIO(BIG))
    wire.reset("server", flip_at=3_000_000)
    with store.open("big") as stream, pytest.raises(TransferDamaged, match="big"):
        stream.read()
    wire.reset("server", flip_at=3_000_000)
    assert store.read("big") == BIG


def test_a_write_that_arrives_damaged_replaces_nothing(store: XRootDStore, wire: Wire, on_disk: Path) -> None:
    store.write("x", io.BytesIO(b"old"))
    wire.reset("client", flip_at=3_000_000)
    with pytest.raises(TransferDamaged, match="x"):
        store.write("x", io.BytesIO(BIG))
    assert {path.name: path.read_bytes() for path in on_disk.iterdir()} == {"x": b"old"}


def test_a_write_that_is_cut_is_whole_or_not_at_all(store: XRootDStore, wire: Wire, on_disk: Path) -> None:
    store.write("x", io.BytesIO(b"old"))
    wire.reset("client", cut_at=3_000_000)
    with suppress(StoreUnavailable):
        store.write("x", io.BytesIO(BIG))
    assert (on_disk / "x").read_bytes() in (b"old", BIG)
    store.write("x", io.BytesIO(b"new"))
    assert store.read("x") == b"new"


def test_the_plug_in_tries_again(uri: str, wire: Wire, on_disk: Path, tmp_path: Path) -> None:
    repository = get_artifact_repository(uri)
    (tmp_path / "big").write_bytes(BIG)
    for fault in ("flip_at", "cut_at"):
        (on_disk / "big").unlink(missing_ok=True)
        wire.reset("client", **{fault: 3_000_000})
        repository.log_artifact(str(tmp_path / "big"))
        assert (on_disk / "big").read_bytes() == BIG
        assert [path.name for path in on_disk.iterdir()] == ["big"]
    wire.reset("server", flip_at=3_000_000)
    (tmp_path / "to").mkdir()
    assert Path(repository.download_artifacts("big", str(tmp_path / "to"))).read_bytes() == BIG


def test_a_server_that_falls_silent_is_given_up(uri: str, wire: Wire) -> None:
    wire.is_silent = True
    said = use_elsewhere(uri, XRD_REQUESTTIMEOUT="3", XRD_CONNECTIONWINDOW="3", XRD_CONNECTIONRETRY="1")
    assert said.startswith("StoreUnavailable")
    assert "does not answer" in said
