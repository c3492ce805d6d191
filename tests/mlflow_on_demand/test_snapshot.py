import dataclasses
import gzip
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_on_demand.compact import Compact
from mlflow_on_demand.errors import ChecksumMismatch, ManifestError, PreconditionFailed
from mlflow_on_demand.records import to_json
from mlflow_on_demand.snapshot import (
    BestRun,
    Experiment,
    Lost,
    Manifest,
    Objective,
    Source,
    download_database,
    find_manifest,
    open_snapshot_store,
    parse_manifest,
    publish_manifest,
    publish_object,
    refer,
)
from mlflow_on_demand.store import Store
from mlflow_on_demand.stores import open_store
from support.snapshots import MANIFEST

names = st.text(max_size=20).filter(lambda text: text.isprintable())


def make_manifest(store: Store, scratch: Path) -> Manifest:
    packed = scratch / "db.gz"
    packed.write_bytes(gzip.compress(b"a database" * 1000, mtime=0))
    ref = refer(packed, ".db.gz")
    publish_object(store, ref, packed)
    return dataclasses.replace(
        MANIFEST,
        database=ref,
        bundle=ref,
        summary=ref,
        sources=(Source("7.metrics.1.tgz", "file:///x/7.metrics.1.tgz", 5, "e"),),
        lost=(Lost("7.metrics.2.tgz", "is cut short"),),
        missing_serials=(3,),
        best=BestRun("r", "run", "7", 0.5),
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store((tmp_path / "store").as_uri())


@pytest.fixture
def manifest(store: Store, tmp_path: Path) -> Manifest:
    return make_manifest(store, tmp_path)


def test_what_is_published_is_found(store: Store, manifest: Manifest) -> None:
    assert find_manifest(store) is None
    first = publish_manifest(store, manifest, None)
    assert find_manifest(store) == (manifest, first.etag, first.mtime)
    bare = dataclasses.replace(manifest, objective=None, best=None, lost=(), experiments=())
    second = publish_manifest(store, bare, first.etag)
    assert find_manifest(store) == (bare, second.etag, second.mtime)
    with pytest.raises(PreconditionFailed):
        publish_manifest(store, manifest, first.etag)


def test_compact_sources_are_written_like_others(manifest: Manifest) -> None:
    sources = tuple(Source(f"7.metrics.{one}.tgz", f"s3://b/7.metrics.{one}.tgz", one, "é") for one in range(1500))
    plain, compact = (dataclasses.replace(manifest, sources=one) for one in (sources, Compact(sources)))
    assert to_json(compact) == to_json(plain)
    assert json.loads(to_json(plain))["sources"] == [dataclasses.asdict(one) for one in sources]
    assert parse_manifest(to_json(compact)) == compact == plain
    assert compact.content == plain.content


def test_the_snapshot_lies_by_task_and_schema(tmp_path: Path) -> None:
    assert open_snapshot_store(f"{tmp_path.as_uri()}/", 7, "abc").uri == f"{tmp_path.as_uri()}/7/abc"


@given(
    st.lists(st.builds(Lost, names, names)), st.none() | st.builds(Objective, names.filter(bool), st.just("maximize"))
)
def test_any_manifest_survives_json(lost: list[Lost], objective: Objective | None) -> None:
    blank = {"name": "", "size": 0, "sha256": ""}
    manifest = parse_manifest(
        json.dumps(
            {
                **dict.fromkeys(("jeditaskid", "runs", "points", "metric_points", "damaged_lines"), 0),
                **dict.fromkeys(("mlflow_version", "schema_revision", "digest"), ""),
                **{field: [] for field in ("sources", "missing_serials", "metrics", "params")},
                "experiments": [{"id": "7", "name": "written before there were axes", "segment": "", "runs": 1}],
                "database": blank,
                "bundle": blank,
                "summary": blank,
                "format": 1,
                "lost": [dataclasses.asdict(one) for one in lost],
                "objective": objective and dataclasses.asdict(objective),
                "best": {"run_id": "r", "run_name": "", "experiment_id": "1", "value": 1},
                "a field of a later version": [1],
            }
        ).encode()
    )
    assert (manifest.lost, manifest.objective) == (tuple(lost), objective)
    assert manifest.best == BestRun("r", "", "1", 1.0)
    assert manifest.experiments == (Experiment("7", "written before there were axes", "", 1, (), ()),)
    assert parse_manifest(to_json(manifest)) == manifest


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no JSON"),
        (b"\xff", "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
        (b"[]", "is no object"),
        (b"{}", "lacks the field 'format'"),
        (b'{"format": "1"}', "format is no int"),
        (b'{"format": true}', "format is no int"),
        (b'{"format": 2}', "has format 2, but only format 1 is known"),
        (b'{"format": 1}', "lacks the field 'jeditaskid'"),
    ],
)
def test_a_bad_manifest_is_told(content: bytes, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        parse_manifest(content)


def test_a_manifest_with_wrong_types_is_told(manifest: Manifest) -> None:
    good = json.loads(to_json(manifest))
    for field, value, message in (
        ("lost", "x", "lost is no list"),
        ("lost", [1], r"lost\[0\] is no object"),
        ("experiments", [{"id": "7", "name": "x", "segment": ""}], r"experiments\[0\] lacks the field 'runs'"),
        ("runs", 1.5, "runs is no int"),
        ("objective", {"metric": "x", "direction": "up"}, "an objective is"),
    ):
        with pytest.raises(ManifestError, match=message):
            parse_manifest(json.dumps({**good, field: value}).encode())


def test_the_database_is_unpacked(store: Store, manifest: Manifest, tmp_path: Path) -> None:
    target = tmp_path / "out.db"
    download_database(store, manifest, target)
    assert target.read_bytes() == b"a database" * 1000


@pytest.mark.parametrize("content", [b"no gzip", b"", gzip.compress(b"another"), gzip.compress(b"cut")[:-3]])
def test_a_wrong_database_is_refused(store: Store, manifest: Manifest, tmp_path: Path, content: bytes) -> None:
    store.write(manifest.database.name, io.BytesIO(content))
    with pytest.raises(ChecksumMismatch):
        download_database(store, manifest, tmp_path / "out.db")
    assert not (tmp_path / "out.db").exists()


def test_an_object_is_uploaded_unless_the_present_manifest_names_it(
    store: Store, manifest: Manifest, tmp_path: Path
) -> None:
    before = store.stat(manifest.database.name)
    publish_object(store, manifest.database, tmp_path / "gone.gz", manifest)
    assert store.stat(manifest.database.name) == before
    (tmp_path / "again.gz").write_bytes(store.read(manifest.database.name))
    publish_object(store, manifest.database, tmp_path / "again.gz")
    assert store.stat(manifest.database.name) != before


def test_content_is_what_was_ingested_and_for_what(manifest: Manifest) -> None:
    other = dataclasses.replace(manifest, digest="x", schema_revision="x", mlflow_version="x", index=manifest.database)
    assert other.content == manifest.content
    found = [
        dataclasses.replace(manifest, objective=Objective("another", "maximize")),
        dataclasses.replace(manifest, objective=None),
        dataclasses.replace(manifest, sources=()),
        dataclasses.replace(manifest, sources=(Source("a.tgz", "s3://b/a.tgz", 1, "etag"),)),
        dataclasses.replace(manifest, jeditaskid=8),
    ]
    assert len({one.content for one in (manifest, *found)}) == 6
