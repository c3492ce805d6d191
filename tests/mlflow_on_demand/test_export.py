"""BigPanDA's export as a source, from a real HTTP server: whole, changing, and in all the ways that it can be none."""

import dataclasses
import gzip
import io
import json
import os
import random
import tarfile
import tracemalloc
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from mlflow_on_demand.errors import AccessDenied, ObjectChanged, StoreError, StoreUnavailable
from mlflow_on_demand.export import LIMITS, Export
from mlflow_on_demand.ingest import IngestRequest, IngestResult, ingest_task
from mlflow_on_demand.news import find_news
from mlflow_on_demand.reach import PRIVATE_HOSTS
from mlflow_on_demand.sources import Tarball, find_tarballs, read_each
from support.export_server import ExportServer, export_server, pack_export
from support.hpo_files import TASK, Point, name, run_id, tarball, write_task

TARBALLS = [(name(one), tarball(Point(run_id(one), artifacts={"a": b"x" * one}))) for one in range(1, 8)]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ExportServer]:
    with export_server() as found:
        monkeypatch.setenv(PRIVATE_HOSTS, "localhost")
        yield found


def read_all(tarballs: Iterable[Tarball]) -> int:
    return sum(len(stream.read(100)) > 0 for _, stream in read_each(tarballs, iter(())))


def ingest(server: ExportServer, folder: Path, *more: str) -> IngestResult:
    return ingest_task(IngestRequest(TASK, (server.uri(TASK), *more), folder.as_uri()))


def test_it_gives_what_the_same_tarballs_give_in_a_folder(server: ExportServer, tmp_path: Path) -> None:
    mixed = [*TARBALLS, (name(9), b"no tarball"), (name(8), TARBALLS[0][1][:-30])]
    from_folder = ingest_task(
        IngestRequest(TASK, (write_task(tmp_path / "hpo", dict(mixed)),), (tmp_path / "a").as_uri())
    ).manifest
    for order in (mixed, random.Random(1).sample(mixed, len(mixed))):
        server.export(order)
        result = ingest(server, tmp_path / f"b{len(server.asked)}").manifest
        assert result.digest == from_folder.digest
        assert result.lost == from_folder.lost
        assert [(one.name, one.size) for one in result.sources] == [(one.name, one.size) for one in from_folder.sources]
    assert {one.name for one in result.lost} == {name(8), name(9)}


def test_only_what_is_new_is_read_a_second_time(server: ExportServer, tmp_path: Path) -> None:
    server.export(TARBALLS[:6])
    first = ingest(server, tmp_path / "s")
    assert first.changed
    assert server.asked == [f"GET {'/idds/downloadhpometrics/'}?workloadid={TASK}"] * 2
    # Another gzip'ed tar of the same tarballs, in another order: nothing new, and one look is enough to see it.
    server.export(reversed(TARBALLS[:6]))
    assert not ingest(server, tmp_path / "s").changed
    assert len(server.asked) == 3
    server.export(TARBALLS)
    grown = ingest(server, tmp_path / "s")
    assert (grown.manifest.runs, [layer.tarballs for layer in grown.manifest.layers]) == (7, [1])
    assert len(server.asked) == 5
    # One with the same name and size, but another content.
    server.export(
        [*TARBALLS[:6], (name(7), tarball(Point(run_id(7), params={"lr": "0.2"}, artifacts={"a": b"x" * 7})))]
    )
    assert ingest(server, tmp_path / "s").changed


def test_beside_tarballs_in_a_folder(server: ExportServer, tmp_path: Path) -> None:
    folder = write_task(tmp_path / "hpo", dict(TARBALLS[:2]))
    server.export(TARBALLS[2:])
    assert ingest(server, tmp_path / "s", folder).manifest.runs == 7


def test_a_sweep_does_not_read_it(server: ExportServer, tmp_path: Path) -> None:
    server.export(TARBALLS)
    folder = write_task(tmp_path / "hpo", dict(TARBALLS[:1]))
    news = find_news(TASK, (server.uri(TASK), folder), (tmp_path / "s").as_uri(), lambda *_: False)
    assert [source.name for source in news] == [name(1)]
    assert server.asked == []


@pytest.mark.parametrize(
    ("content", "status", "error", "said"),
    [
        (
            json.dumps({"error": "no files found for task\n30456789"}).encode(),
            200,
            StoreError,
            "no files found for task 3",
        ),
        (json.dumps({"status": 3}).encode(), 200, StoreError, "gives no reason"),
        (json.dumps("not\x1ballowed" + "x" * 999).encode(), 200, StoreError, "not allowed"),
        (b"\n<!DOCTYPE html><title>CERN Single Sign-On</title>", 200, AccessDenied, "log in"),
        (b"", 200, StoreError, "neither"),
        (b"PK\x03\x04", 200, StoreError, "neither"),
        (b"", 403, AccessDenied, "denies access to export"),
        (b"", 404, StoreError, "there is no export"),
        (b"", 503, StoreUnavailable, "503"),
        (gzip.compress(b"no tar"), 200, StoreUnavailable, "is damaged"),
    ],
)
def test_what_is_no_export_is_told_in_a_sentence(
    server: ExportServer, tmp_path: Path, *, content: bytes, status: int, error: type[StoreError], said: str
) -> None:
    server.content, server.status = content, status
    with pytest.raises(error, match=said) as caught:
        ingest(server, tmp_path / "s")
    assert len(str(caught.value)) < 400
    assert list(tmp_path.rglob("manifest.json")) == []


@pytest.mark.parametrize("part", [2, 3, 40, 95])
def test_one_that_is_cut_off_publishes_nothing_and_may_be_tried_again(
    server: ExportServer, tmp_path: Path, part: int
) -> None:
    server.export(TARBALLS)
    server.cut_at = 2 if part == 2 else len(server.content) * part // 100
    with pytest.raises(StoreUnavailable) as caught:
        ingest(server, tmp_path / "s")
    assert caught.value.transient
    assert list(tmp_path.rglob("manifest.json")) == []
    server.cut_at = None
    assert ingest(server, tmp_path / "s").manifest.runs == 7


def test_the_cut_is_not_taken_for_a_bad_tarball(server: ExportServer) -> None:
    """Listed whole, and cut when it is read: what was under way then is no lost tarball."""
    server.export(TARBALLS)
    tarballs = find_tarballs(TASK, (server.uri(TASK),))
    server.cut_at = len(server.content) // 2
    with pytest.raises(StoreUnavailable):
        read_all(tarballs)


def test_other_tasks_tarballs_are_not_ours(server: ExportServer, tmp_path: Path) -> None:
    foreign = [("999.metrics.000001.tgz", TARBALLS[0][1]), ("readme.txt", b"-")]
    server.export([*foreign, *TARBALLS])
    assert ingest(server, tmp_path / "s").manifest.runs == 7
    server.export(foreign)
    with pytest.raises(StoreError, match=f"1 tarballs of other tasks, and none of {TASK}"):
        ingest(server, tmp_path / "t")
    with pytest.raises(StoreError, match=f"that of task 999, and not of {TASK}"):
        ingest_task(IngestRequest(TASK, (server.uri(999),), (tmp_path / "t").as_uri()))


def test_an_export_without_tarballs_is_an_empty_task(server: ExportServer, tmp_path: Path) -> None:
    server.export([])
    assert ingest(server, tmp_path / "s").manifest.runs == 0


def test_one_that_changes_between_two_readings_is_read_anew(server: ExportServer) -> None:
    server.export(TARBALLS)
    tarballs = find_tarballs(TASK, (server.uri(TASK),))
    for later in (TARBALLS[1:], [*TARBALLS[1:], (name(1), b"another")]):
        server.export(later)
        with pytest.raises(ObjectChanged) as caught:
            read_all(tarballs)
        assert caught.value.transient


def bomb() -> bytes:
    """A member of 200 MB of zeros: the ratio gives it away long before its end."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        info = tarfile.TarInfo(name(1))
        info.size = 200 * 2**20
        archive.addfile(info, io.BytesIO(bytes(info.size)))
    return target.getvalue()


def test_limits_hold_for_the_outer_tar(server: ExportServer, tmp_path: Path) -> None:
    link = tarfile.TarInfo("x")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    for content, said in (
        (bomb(), "unpacks to more than 50 times its size"),
        (pack_export(TARBALLS, link), r"holds a link \(x\)"),
        (pack_export([("../../../" + name(1), b"-")]), "holds a path that leads out of it"),
    ):
        server.content = content
        with pytest.raises(StoreError, match=f"the export {said}"):
            ingest(server, tmp_path / "s")
    server.export(TARBALLS)
    small = dataclasses.replace(LIMITS, max_members=3)
    with pytest.raises(StoreError, match="more than 3 files"):
        list(Export(server.uri(TASK), TASK, lambda _: "127.0.0.1", small).list())


def test_memory_stays_flat_whatever_it_holds(server: ExportServer) -> None:
    server.export([(name(one), os.urandom(4 * 2**20)) for one in range(1, 11)])
    tracemalloc.start()
    try:
        assert len(find_tarballs(TASK, (server.uri(TASK),))) == 10
        assert tracemalloc.get_traced_memory()[1] < 24 * 2**20  # the server's own slices are of this process too
    finally:
        tracemalloc.stop()
