"""What a sweep finds, against real tarballs, a real ingest, and stores of both kinds."""

import shutil
import uuid
from pathlib import Path

import pytest

from bigpanda_laptop.s3 import S3Server
from mlflow_on_demand.errors import ObjectMissing, StoreUnavailable
from mlflow_on_demand.ingest import IngestRequest, ingest_task
from mlflow_on_demand.news import find_news
from mlflow_on_demand.snapshot import Manifest
from support.held_store import snapshot_folder
from support.hpo_files import TASK, Point, name, run_id, tarball, write_task


@pytest.fixture(params=["file", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, str]:
    """Where a store keeps its objects on this machine, and its URI."""
    if request.param == "file":
        return tmp_path, tmp_path.as_uri()
    server: S3Server = request.getfixturevalue("s3_server")
    for variable, value in server.environment.items():
        monkeypatch.setenv(variable, value)
    bucket = f"news-{uuid.uuid4().hex[:12]}"
    (server.folder / bucket).mkdir()
    return server.folder / bucket, f"s3://{bucket}"


def never(_: Manifest | None, __: int) -> bool:
    return False


def look(uri: str) -> list[str]:
    return [source.name for source in find_news(TASK, (f"{uri}/hpo/",), f"{uri}/snapshots", never)]


def test_new_and_changed_tarballs_are_news_until_they_are_ingested(place: tuple[Path, str]) -> None:
    folder, uri = place
    request = IngestRequest(TASK, (f"{uri}/hpo/",), f"{uri}/snapshots")
    write_task(folder / "hpo", {name(1): tarball(Point(run_id(1))), name(2): b"no tarball", "notes.txt": b"-"})
    assert look(uri) == [name(1), name(2)]
    manifest = ingest_task(request).manifest
    assert [lost.name for lost in manifest.lost] == [name(2)]
    assert look(uri) == []  # what is lost was looked at, too

    write_task(folder / "hpo", {name(2): tarball(Point(run_id(2))), name(3): tarball(Point(run_id(3)))})
    assert look(uri) == [name(2), name(3)]
    ingest_task(request)
    assert look(uri) == []

    (folder / "hpo" / name(3)).unlink()
    assert look(uri) == []


def test_a_finished_task_is_not_listed(tmp_path: Path) -> None:
    artifacts = write_task(tmp_path / "hpo", {name(1): tarball(Point(run_id(1)))})
    store = (tmp_path / "snapshots").as_uri()
    manifest = ingest_task(IngestRequest(TASK, (artifacts,), store)).manifest
    published = int((snapshot_folder(tmp_path / "snapshots", manifest) / "manifest.json").stat().st_mtime)
    asked: list[tuple[Manifest | None, int]] = []

    def finished(manifest: Manifest | None, when: int) -> bool:
        asked.append((manifest, when))
        return True

    # A listing would fail: no store answers to it.
    assert find_news(TASK, ("gopher://nowhere/",), store, finished) == ()
    assert asked == [(manifest, published)]


def test_a_manifest_that_cannot_be_read_knows_nothing(tmp_path: Path) -> None:
    artifacts = write_task(tmp_path / "hpo", {name(1): tarball(Point(run_id(1)))})
    store = (tmp_path / "snapshots").as_uri()
    manifest = ingest_task(IngestRequest(TASK, (artifacts,), store)).manifest
    (snapshot_folder(tmp_path / "snapshots", manifest) / "manifest.json").write_bytes(b"{")
    assert [source.name for source in find_news(TASK, (artifacts,), store, never)] == [name(1)]


def test_a_store_that_does_not_do_its_part_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(tmp_path)
    with pytest.raises(ObjectMissing):
        find_news(TASK, (f"{tmp_path.as_uri()}/{name(1)}",), (tmp_path / "s").as_uri(), never)
    for variable, value in {"ENDPOINT_URL_S3": "http://127.0.0.1:9", "ACCESS_KEY_ID": "x"}.items():
        monkeypatch.setenv(f"AWS_{variable}", value)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    with pytest.raises(StoreUnavailable):
        find_news(TASK, ("s3://panda/hpo/",), (tmp_path / "s").as_uri(), never)
