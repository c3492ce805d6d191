"""Files of another MLflow's page: published by its ingest, served by a server that does not have them."""

import gzip
import io
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigpanda_laptop.s3 import S3Server
from mlflow_on_demand import other_uis
from mlflow_on_demand.bundle import Spool
from mlflow_on_demand.errors import ChecksumMismatch
from mlflow_on_demand.mlflow_facts import mlflow_version, ui_dir
from mlflow_on_demand.other_uis import OtherUis, open_ui_store, publish_ui, ui_key
from mlflow_on_demand.store import StoredObject
from mlflow_on_demand.store_file import FileStore
from mlflow_on_demand.ui_replies import is_hashed
from support.task_server import TaskServer, serving

SCRIPT = b"console.log('of another release');" * 100
FONT = bytes(range(256)) * 10
OTHER = {"static/js/main.0123abcd.js.gz": gzip.compress(SCRIPT, mtime=0), "static/media/sans.89abcdef.woff2": FONT}
MAIN = "static/js/main.0123abcd.js"
FOR_EVER = "public, max-age=31536000, immutable"


class CountingStore(FileStore):
    """A store in a directory, and how often it was asked."""

    def __init__(self, directory: Path) -> None:
        super().__init__(str(directory))
        self.asked = 0

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        self.asked += 1
        return super().list(prefix)

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        self.asked += 1
        return super().read(key, start, length)


def write_pack(folder: Path, files: dict[str, bytes], name: str = "3.99.0-0123456789abcdef.zip") -> Path:
    """A pack in the snapshot store in `folder`."""
    (folder / "ui").mkdir(parents=True, exist_ok=True)
    spool = Spool(folder / "spool")
    spool.write_bundle(
        folder / "ui" / name, [spool.add(member, io.BytesIO(content)) for member, content in files.items()]
    )
    spool.close()
    return folder / "ui" / name


@pytest.fixture
def store(tmp_path: Path) -> CountingStore:
    write_pack(tmp_path, OTHER)
    return CountingStore(tmp_path / "ui")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TaskServer]:
    folder = tmp_path_factory.mktemp("store")
    write_pack(folder, OTHER)
    with serving(folder.as_uri(), str(tmp_path_factory.mktemp("scratch"))) as server:
        yield server


def test_every_hashed_file_is_published_once(tmp_path: Path) -> None:
    uri = (tmp_path / "store").as_uri()
    assert publish_ui(uri, tmp_path)
    assert not publish_ui(uri, tmp_path)
    [pack] = (tmp_path / "store" / "ui").iterdir()
    assert pack.name == ui_key()
    assert pack.name.startswith(f"{mlflow_version()}-")
    found = {}
    with zipfile.ZipFile(pack) as opened:
        for name in opened.namelist():
            content = opened.read(name)
            found[name.removesuffix(".gz")] = gzip.decompress(content) if name.endswith(".gz") else content
    files = {path.relative_to(ui_dir()).as_posix(): path for path in ui_dir().rglob("*") if path.is_file()}
    assert set(files) - set(found) == {
        "asset-manifest.json",
        "favicon.ico",
        "index.html",
        "lib/notebook-trace-renderer/index.html",
        "manifest.json",
    }
    assert {name: files[name].read_bytes() for name in found} == found


def test_a_store_that_cannot_be_written_to_fails_no_ingest(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "ui").write_text("a file where the folder should be")
    assert not publish_ui(tmp_path.as_uri(), tmp_path)
    assert [record.message for record in caplog.records] == ["the files of MLflow's page could not be published"]


@pytest.mark.parametrize(
    ("accept", "encoding"), [("br, gzip", "gzip"), ("identity", None), ("br", None), ("gzip;q=0", None)]
)
def test_a_file_of_another_release_is_served(server: TaskServer, accept: str, encoding: str | None) -> None:
    answer = server.ask("GET", f"/static-files/{MAIN}", {"Accept-Encoding": accept})
    assert (answer.status_code, answer.content) == (200, SCRIPT)
    headers = {name: answer.headers.get(name) for name in ("content-encoding", "cache-control", "vary")}
    assert headers == {"content-encoding": encoding, "cache-control": FOR_EVER, "vary": "Accept-Encoding"}
    assert answer.headers["content-type"].partition(";")[0] == "text/javascript"
    head = server.ask("HEAD", f"/static-files/{MAIN}", {"Accept-Encoding": accept})
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == answer.headers["content-length"]


def test_what_does_not_shrink_is_served_as_it_is(server: TaskServer) -> None:
    answer = server.ask("GET", "/static-files/static/media/sans.89abcdef.woff2")
    assert (answer.content, answer.headers["content-type"]) == (FONT, "font/woff2")
    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize(
    "name", ["static/js/main.00000000.js", "static/js/main.js", "main.0123abcd.js", f"{MAIN}.gz", f"../ui/{MAIN}"]
)
def test_what_nobody_has_is_not_there(server: TaskServer, name: str) -> None:
    answer = server.ask("GET", f"/static-files/{name}")
    assert answer.status_code == 404
    assert answer.headers.get("cache-control") in (None, "no-store")
    assert server.ask("POST", f"/static-files/{MAIN}").status_code == 405


def test_a_damaged_pack_is_passing(tmp_path: Path) -> None:
    pack = write_pack(tmp_path, OTHER)
    whole = pack.read_bytes()
    pack.write_bytes(whole[: len(whole) // 2])
    (tmp_path / "scratch").mkdir()
    with serving(tmp_path.as_uri(), str(tmp_path / "scratch")) as server:
        answer = server.ask("GET", f"/static-files/{MAIN}")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        server.until(lambda: [entry["file"] for entry in server.log if "file" in entry] == [MAIN])


def test_a_mended_pack_is_read_anew(tmp_path: Path, store: CountingStore) -> None:
    [pack] = (tmp_path / "ui").iterdir()
    whole = pack.read_bytes()
    uis = OtherUis(store)
    pack.write_bytes(whole[:100])
    with pytest.raises(ChecksumMismatch):
        uis.read(MAIN)
    pack.write_bytes(whole)
    found = uis.read(MAIN)
    assert found is not None
    assert found.plain() == SCRIPT


def test_what_was_read_is_not_read_again(store: CountingStore) -> None:
    uis = OtherUis(store)
    found = uis.read(MAIN)
    assert found is not None
    assert (found.media_type, found.plain()) == ("text/javascript", SCRIPT)
    before = store.asked
    assert uis.read(MAIN) == found
    assert store.asked == before


def test_who_comes_during_the_first_look_waits_for_it(store: CountingStore) -> None:
    """As a browser does, which asks for many files at once."""
    uis = OtherUis(store)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(uis.read, [MAIN] * 8))
    assert [one is not None and one.plain() == SCRIPT for one in found] == [True] * 8


def test_wrong_names_cost_the_store_one_look(store: CountingStore) -> None:
    uis = OtherUis(store)
    assert uis.read("static/js/main.00000000.js") is None
    before = store.asked
    for number in range(100):
        assert uis.read(f"static/js/main.{number:08x}.js") is None
        assert uis.read(f"static/js/{number}.js") is None
    assert store.asked == before


def test_a_pack_that_comes_later_is_found_later(
    tmp_path: Path, store: CountingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    uis, later = OtherUis(store), "static/js/9.fedcba98.chunk.js"
    assert uis.read(later) is None
    write_pack(tmp_path, {later: b"later"}, "3.99.1-0123456789abcdef.zip")
    assert uis.read(later) is None
    monkeypatch.setattr(other_uis, "LOOK_EVERY", 0.0)
    found = uis.read(later)
    assert found is not None
    assert found.plain() == b"later"


def test_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {f"static/media/{number}.{number:08x}.woff2": bytes([number]) * 1000 for number in range(20)}
    write_pack(tmp_path, files)
    monkeypatch.setattr(other_uis, "MAX_KEPT_BYTES", 5000)
    store = CountingStore(tmp_path / "ui")
    uis = OtherUis(store)
    for name, content in files.items():
        found = uis.read(name)
        assert found is not None
        assert found.plain() == content
    before = store.asked
    for name in list(files)[-5:]:
        uis.read(name)
    assert store.asked == before
    uis.read(next(iter(files)))
    assert store.asked > before


def test_its_own_pack_is_not_looked_into(tmp_path: Path) -> None:
    write_pack(tmp_path, OTHER, ui_key())
    assert OtherUis(open_ui_store(tmp_path.as_uri())).read(MAIN) is None


def test_from_s3_as_from_a_folder(s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in s3_server.environment.items():
        monkeypatch.setenv(variable, value)
    (s3_server.folder / "other-uis").mkdir()
    with monkeypatch.context() as another:
        another.setattr(other_uis, "mlflow_version", lambda: "3.99.0")
        assert publish_ui("s3://other-uis/some/prefix", tmp_path)
    uis = OtherUis(open_ui_store("s3://other-uis/some/prefix"))
    for name in ("static/js", "static/media"):
        path = max((ui_dir() / name).iterdir(), key=lambda one: one.stat().st_size)
        found = uis.read(f"{name}/{path.name}")
        assert found is not None
        assert found.plain() == path.read_bytes()


def test_without_a_store_there_is_nothing(tmp_path: Path) -> None:
    assert OtherUis(open_ui_store((tmp_path / "nowhere").as_uri())).read(MAIN) is None


@given(st.text())
def test_a_name_that_can_be_hashed_stays_below_its_folder(name: str) -> None:
    if is_hashed(name):
        assert ".." not in name.split("/")
        assert not name.startswith("/")


@pytest.mark.parametrize(
    "name", ["../a.01234567.js", "a/../b.01234567.js", "/a.01234567.js", "a.0123456.js", "a\n.01234567.js"]
)
def test_other_names_are_not(name: str) -> None:
    assert not is_hashed(name)
