"""The collector over real snapshots in real stores, beside ingests and readers that are under way."""

import dataclasses
import functools
import io
import itertools
import os
import time
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest

from bigpanda_laptop.s3 import S3Server
from mlflow_on_demand.collecting import UNKNOWN, WAITING, Collector, Report
from mlflow_on_demand.ingest import IngestRequest, IngestResult, ingest_task
from mlflow_on_demand.retention import Reason, Rules
from mlflow_on_demand.snapshot import (
    Manifest,
    download_database,
    find_manifest,
    lacks_objects,
    object_names,
    open_snapshot_store,
)
from mlflow_on_demand.store_file import FileStore
from mlflow_on_demand.stores import open_store
from support.beside import Beside
from support.hpo_files import TASK, Point, name, run_id, tarball, write_task

RULES = Rules(lifetime=timedelta(days=180))
DAY = timedelta(days=1)


@functools.cache
def point(serial: int) -> bytes:
    """A tarball, always the same: packed anew, it would tell another time."""
    return tarball(Point(run_id(serial), artifacts={"a": b"x"}))


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a store keeps its objects on this machine, and its URI."""

    folder: Path
    uri: str

    @property
    def snapshots(self) -> str:
        return f"{self.uri}/snapshots"

    def ingest(self, *serials: int) -> Manifest:
        return self.ingest_anew(*serials).manifest

    def ingest_anew(self, *serials: int) -> IngestResult:
        folder, wanted = self.folder / "hpo", {name(one): one for one in serials}
        present = {path.name: path for path in folder.glob("*")}
        for old in present.keys() - wanted.keys():
            present[old].unlink()
        new = {key: one for key, one in wanted.items() if key not in present}
        write_task(folder, {key: point(one) for key, one in new.items()})
        return ingest_task(IngestRequest(TASK, (f"{self.uri}/hpo/",), self.snapshots))

    def run(self, later: timedelta, *, standing: bool = False, dry_run: bool = False) -> Report:
        return collector(self, later, dry_run=dry_run).collect(TASK, standing, lambda: standing)

    def files(self) -> set[str]:
        return {path.name for path in (self.folder / "snapshots").rglob("*") if path.is_file()}


def collector(place: Place, later: timedelta, *, dry_run: bool = False) -> Collector:
    found = Collector(open_store(place.snapshots), RULES, datetime.now(UTC) + later, dry_run=dry_run)
    assert found.tasks == [TASK]
    return found


@pytest.fixture(params=["file", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    if request.param == "file":
        return Place(tmp_path, tmp_path.as_uri())
    server: S3Server = request.getfixturevalue("s3_server")
    for variable, value in server.environment.items():
        monkeypatch.setenv(variable, value)
    bucket = f"collecting-{uuid.uuid4().hex[:12]}"
    (server.folder / bucket).mkdir()
    return Place(server.folder / bucket, f"s3://{bucket}")


@pytest.fixture
def here(tmp_path: Path) -> Place:
    return Place(tmp_path, tmp_path.as_uri())


def whole(place: Place, manifest: Manifest) -> bool:
    store = open_snapshot_store(place.snapshots, TASK, manifest.schema_revision)
    present = find_manifest(store)
    return present is not None and present[0].digest == manifest.digest and not lacks_objects(store, present[0])


def test_a_superseded_snapshot_goes_after_its_grace(place: Place) -> None:
    first, second = place.ingest(1), place.ingest(2)
    loose = object_names(first) - object_names(second)
    assert place.run(timedelta(0)).objects == {WAITING: len(loose)}
    assert place.run(DAY / 2).objects == {WAITING: len(loose)}
    before = place.files()
    told = place.run(1.5 * DAY, dry_run=True)
    assert place.files() == before
    assert told.objects == {Reason.UNREFERENCED: len(loose)}
    assert told.bytes[Reason.UNREFERENCED] > 0
    assert place.run(1.5 * DAY) == told
    assert place.files() == before - loose
    assert place.run(3 * DAY).objects == {}
    assert whole(place, second)


def test_a_task_that_nobody_used_for_its_lifetime_goes_altogether(place: Place) -> None:
    names = object_names(place.ingest(1))
    assert place.run(179 * DAY).objects == {}
    # A page that was made since the listing keeps it.
    assert collector(place, 200 * DAY).collect(TASK, False, lambda: True).objects == {}
    assert place.run(200 * DAY).objects == {Reason.EXPIRED: 1, WAITING: len(names)}
    assert place.run(202 * DAY).objects == {Reason.UNREFERENCED: len(names)}
    assert place.run(203 * DAY).objects == {Reason.EXPIRED: 2}  # what was noted of its use, and what is remembered
    assert Collector(open_store(place.snapshots), RULES, datetime.now(UTC), dry_run=False).tasks == []
    # Asked for again, it is there again.
    assert whole(place, place.ingest(1))


def test_a_page_renews_the_life_of_its_snapshot(here: Place) -> None:
    manifest = here.ingest(1)
    used = here.folder / "snapshots" / str(TASK) / "used"
    here.run(DAY, standing=True)
    noted = used.stat().st_mtime_ns
    here.run(DAY / 2, standing=True)
    assert used.stat().st_mtime_ns == noted
    for path in (here.folder / "snapshots").rglob("manifest.json"):
        os.utime(path, (1, 1))
    assert here.run(100 * DAY).objects == {}
    assert whole(here, manifest)


def test_what_a_crashed_ingest_left_goes_and_what_is_not_ours_stays(place: Place) -> None:
    manifest = place.ingest(1)
    folder = place.folder / "snapshots" / str(TASK)
    strange = {name(1): b"a tarball", "notes.txt": b"-", "deep/er/x.zip": b"-"}
    for key, content in strange.items():
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).write_bytes(content)
    half = f"{TASK}/{manifest.schema_revision}/{'e' * 64}.zip"
    open_store(place.snapshots).write(half, io.BytesIO(b"half a snapshot"))
    place.run(timedelta(0))
    assert place.run(2 * DAY).objects == {Reason.UNREFERENCED: 1, UNKNOWN: 3}
    assert all((folder / key).read_bytes() == content for key, content in strange.items())
    assert (place.folder / "hpo" / name(1)).exists()
    assert whole(place, manifest)


class Watched(FileStore):
    """A directory that notes what is read of it."""

    def __init__(self, directory: Path) -> None:
        super().__init__(str(directory))
        self.seen: list[str] = []

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        self.seen.append(key.rpartition("/")[2])
        return super().read(key, start, length)


def test_no_manifest_is_read_again_where_nothing_changed(here: Place) -> None:
    manifest = here.ingest(1)
    store = Watched(here.folder / "snapshots")

    def run(later: timedelta, *, standing: bool) -> list[str]:
        store.seen.clear()
        Collector(store, RULES, datetime.now(UTC) + later, dry_run=False).collect(TASK, standing, lambda: standing)
        return list(store.seen)

    assert run(timedelta(0), standing=True) == ["manifest.json"]
    assert run(DAY, standing=True) == ["unreferenced.json"]
    assert run(2 * DAY, standing=False) == ["unreferenced.json"]
    assert whole(here, manifest)
    second = here.ingest(2)
    assert run(2 * DAY, standing=False) == ["unreferenced.json", "manifest.json"]
    for later in (4 * DAY, 5 * DAY):
        assert run(later, standing=False) == ["unreferenced.json", "manifest.json"]
    assert run(6 * DAY, standing=False) == ["unreferenced.json"]
    assert whole(here, second)
    # Its end needs no look into it either.
    assert run(300 * DAY, standing=False) == ["unreferenced.json"]
    run(302 * DAY, standing=False)
    run(303 * DAY, standing=False)
    assert here.files() == set()


def test_half_of_a_file_goes(here: Place) -> None:
    manifest = here.ingest(1)
    half = here.folder / "snapshots" / str(TASK) / manifest.schema_revision / ".unfinished-x"
    half.write_bytes(b"half")
    assert here.run(DAY / 2).objects == {}
    assert here.run(2 * DAY).objects == {Reason.UNFINISHED: 1}
    assert not half.exists()


def test_half_of_a_file_behind_webdav_goes(rclone_webdav: str) -> None:
    place = Place(Path("unused"), f"{rclone_webdav}/{uuid.uuid4().hex}")
    store = open_store(place.snapshots)
    for key in (f"{TASK}/abc/.unfinished-x", f"{TASK}/abc/theirs"):
        store.write(key, io.BytesIO(b"half"))
    assert place.run(DAY / 2).objects == {UNKNOWN: 1}
    assert place.run(2 * DAY).objects == {UNKNOWN: 1, Reason.UNFINISHED: 1}
    assert place.run(2 * DAY).objects == {UNKNOWN: 1}


def test_half_of_an_upload_goes(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in s3_server.environment.items():
        monkeypatch.setenv(variable, value)
    bucket = f"uploads-{uuid.uuid4().hex[:12]}"
    (s3_server.folder / bucket).mkdir()
    client = boto3.client("s3")
    for key in (f"snapshots/{TASK}/abc/{'a' * 64}.zip", f"snapshots/{TASK}/abc/theirs"):
        client.create_multipart_upload(Bucket=bucket, Key=key)
    place = Place(s3_server.folder / bucket, f"s3://{bucket}")
    assert place.run(DAY / 2).objects == {}
    assert place.run(2 * DAY).objects == {Reason.UNFINISHED: 1}
    left = client.list_multipart_uploads(Bucket=bucket, Prefix="snapshots/")["Uploads"]
    assert [upload["Key"].rpartition("/")[2] for upload in left] == ["theirs"]


def test_what_an_ingest_wrote_again_since_the_listing_stays(here: Place) -> None:
    first = here.ingest(1)
    here.ingest(2)
    here.run(timedelta(0))
    for path in (here.folder / "snapshots").rglob("*.*"):
        os.utime(path, (1, 1))
    late = collector(here, 2 * DAY)  # it has listed, and goes on when the ingest is over
    assert here.ingest(1).digest == first.digest
    late.collect(TASK, True, lambda: True)
    assert whole(here, first)


def test_a_manifest_of_which_something_is_gone_is_made_anew(here: Place) -> None:
    manifest = here.ingest(1)
    for gone in sorted(object_names(manifest)):
        next((here.folder / "snapshots").rglob(gone)).unlink()
        assert here.ingest_anew(1).changed
        assert whole(here, manifest)
    assert not here.ingest_anew(1).changed


def test_readers_and_ingests_go_on_while_it_collects(here: Place, tmp_path: Path) -> None:
    """With a grace of seconds, all three at once: who takes less than the grace finds all that he was told of."""
    grace = 4.0
    rules = Rules(RULES.lifetime, timedelta(seconds=grace))
    schema = here.ingest(1, 2).schema_revision
    collected = Counter[str]()
    turns = itertools.count()

    def collect() -> None:
        run = Collector(open_store(here.snapshots), rules, datetime.now(UTC), dry_run=False)
        collected.update(run.collect(TASK, True, lambda: True).objects)

    def ingest() -> None:
        # Now and then the first again: what it needs was given up, is about to be collected, or just was.
        turn = next(turns)
        here.ingest(1, 2 if turn % 12 == 0 else 100 + turn)

    def read() -> None:
        store = open_snapshot_store(here.snapshots, TASK, schema)
        found = find_manifest(store)
        assert found is not None
        time.sleep(0.5)  # it is superseded meanwhile
        download_database(store, found[0], tmp_path / "read.db")
        for one in object_names(found[0]):
            store.read(one)

    beside = Beside(grace - 1, collect, read, ingest)  # times of objects are whole seconds
    beside.go_on(lambda: collected[Reason.UNREFERENCED] >= 40)
    assert beside.failures == []
    assert collected[Reason.UNREFERENCED] >= 40
