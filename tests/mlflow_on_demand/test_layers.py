"""Tarballs that come after a snapshot was made: as a layer or anew, the content is that of an ingest of all at once."""

import dataclasses
import io
import logging
import random
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from mlflow_on_demand.answers import answers_key
from mlflow_on_demand.bundle import open_bundle
from mlflow_on_demand.errors import ObjectMissing
from mlflow_on_demand.ingest import IngestRequest, IngestResult, ingest_task
from mlflow_on_demand.layers import MAX_LAYERS
from mlflow_on_demand.record_answers import record_answers
from mlflow_on_demand.snapshot import Manifest, Objective, download_database, open_snapshot_store
from support.hpo_files import NOON, TASK, Point, name, pack, run_id, tarball, write_task
from support.traced_files import registered, trace, version_of

LOSS = Objective("loss", "minimize")


def experiment(number: int) -> dict[str, bytes]:
    meta = f"creation_time: {NOON + 100 - number}\nlast_update_time: {NOON + number}\nname: x\n"
    return {"mlruns/1/meta.yaml": meta.encode(), "mlruns/1/tags/last": str(number).encode()}


def point(number: int, **changes: object) -> Point:
    metrics = {"loss": f"{NOON} {1 / number} 0\n", f"m{number % 3}": f"{NOON} 1 0\nbad\n"}
    params = {"lr": str(1 / number), "same": "1", "optimizer": f"o{number % 4}", "path": f"/srv/{number}"}
    made = Point(
        run_id(number), f"p{number}", params=params, metrics=metrics, artifacts={"a.txt": str(number).encode()}
    )
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def packed(number: int, **changes: object) -> bytes:
    """A job that traced, and registered a model of its own."""
    model = registered(f"net {number}", {1: version_of(number)}, aliases__best="1")
    return pack(experiment(number) | point(number, **changes).files() | trace(f"tr-{number}", number, good=1) | model)


TARBALLS = {name(n, "calo" if n % 2 else "muon"): packed(n) for n in range(1, 41)} | {
    name(41, "calo"): b"broken",
    name(42, "new"): packed(42),
    name(43, "calo"): packed(43, lifecycle="deleted"),
    name(44, "calo"): packed(44, artifacts={}, params={"p": "1"}),
}
LATE = (name(3, "calo"), name(8, "muon"), name(41, "calo"), name(42, "new"), name(43, "calo"), name(44, "calo"))


def ingest(tmp_path: Path, folder: str, store: str = "store", objective: Objective = LOSS) -> IngestResult:
    return ingest_task(IngestRequest(TASK, (folder,), (tmp_path / store).as_uri(), objective))


def content(tmp_path: Path, manifest: Manifest, store: str = "store") -> tuple[object, ...]:
    """All that can be seen of a snapshot: every row of its database, every artifact, its summary."""
    place = open_snapshot_store((tmp_path / store).as_uri(), TASK, manifest.schema_revision)
    path = tmp_path / "opened.db"
    download_database(place, manifest, path)
    with closing(sqlite3.connect(path)) as database:
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1").fetchall()
        rows = {table: sorted(database.execute(f'SELECT * FROM "{table}"'), key=repr) for (table,) in tables}
    bundle = open_bundle(place, manifest)
    artifacts = {}
    for member in bundle.sizes():
        target = io.BytesIO()
        bundle.copy(member, target)
        artifacts[member] = target.getvalue()
    return rows, artifacts, place.read(manifest.summary.name)


def recording(tmp_path: Path, manifest: Manifest, store: str) -> bytes:
    """What MLflow itself answers over it: kept by the digest of the snapshot, so the same digest must mean the same."""
    place = open_snapshot_store((tmp_path / store).as_uri(), TASK, manifest.schema_revision)
    assert record_answers(place, manifest)
    return place.read(answers_key(manifest.digest, manifest.mlflow_version))


def said(manifest: Manifest) -> dict[str, object]:
    """A manifest without where its objects lie."""
    told = dataclasses.asdict(manifest)
    for field in ("database", "bundle", "layers", "index"):
        del told[field]
    told["sources"] = [source.name for source in manifest.sources]
    return told


def test_one_after_the_other_is_like_all_at_once(tmp_path: Path) -> None:
    whole = ingest(tmp_path, write_task(tmp_path / "whole", TARBALLS), store="whole").manifest
    folder = write_task(tmp_path / "t", {one: TARBALLS[one] for one in TARBALLS if one not in LATE})
    ingest(tmp_path, folder)
    for late in random.Random(1).sample(LATE, len(LATE)):
        write_task(tmp_path / "t", {late: TARBALLS[late]})
        manifest = ingest(tmp_path, folder).manifest
    assert len(manifest.layers) == len(LATE)
    assert said(manifest) == said(whole)
    assert content(tmp_path, manifest) == content(tmp_path, whole, "whole")
    assert recording(tmp_path, manifest, "store") == recording(tmp_path, whole, "whole")


def test_made_anew_it_is_the_same_bytes_in_whatever_order_they_came(tmp_path: Path) -> None:
    found = []
    for seed in range(3):
        order = random.Random(seed).sample(sorted(TARBALLS), len(TARBALLS))
        folder = write_task(tmp_path / f"t{seed}", {one: TARBALLS[one] for one in order[:2]})
        ingest(tmp_path, folder, store=f"s{seed}")
        write_task(tmp_path / f"t{seed}", {one: TARBALLS[one] for one in order[2:]})
        manifest = ingest(tmp_path, folder, store=f"s{seed}").manifest
        found.append((manifest.layers, manifest.database, manifest.bundle, manifest.summary, manifest.digest))
    assert found[0][0] == ()
    assert found[1:] == [found[0]] * 2


@pytest.fixture
def grown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> str:
    """The folder of a task of 40 tarballs that has been ingested."""
    caplog.set_level(logging.DEBUG, "mlflow_on_demand")
    folder = write_task(tmp_path / "t", {name(n): packed(n) for n in range(1, 41)})
    ingest(tmp_path, folder)
    caplog.clear()
    return folder


def read_since(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [record.__dict__["tarball"] for record in caplog.records if record.message == "tarball read"]
    caplog.clear()
    return found


def test_only_what_is_new_is_read_until_it_is_too_much(
    tmp_path: Path, grown: str, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(41, 41 + MAX_LAYERS):
        write_task(tmp_path / "t", {name(number): packed(number)})
        assert len(ingest(tmp_path, grown).manifest.layers) == number - 40
        assert read_since(caplog) == [name(number)]
    write_task(tmp_path / "t", {name(60): packed(60)})
    assert ingest(tmp_path, grown).manifest.layers == ()
    assert len(read_since(caplog)) == 41 + MAX_LAYERS


def test_many_new_ones_at_once_are_no_layer(tmp_path: Path, grown: str) -> None:
    write_task(tmp_path / "t", {name(n): packed(n) for n in range(41, 60)})
    assert ingest(tmp_path, grown).manifest.layers == ()


CHANGES = {
    "a retried job": {name(41): packed(5, name="again", end=NOON + 90_000)},
    "a changed tarball": {name(1): packed(1, name="changed!")},
    "a segment called like MLflow's own experiment": {name(41, "Default"): packed(41)},
}


@pytest.mark.parametrize("why", CHANGES)
def test_what_concerns_others_is_made_anew(tmp_path: Path, grown: str, why: str) -> None:
    write_task(tmp_path / "t", CHANGES[why])
    manifest = ingest(tmp_path, grown).manifest
    assert manifest.layers == ()
    whole = ingest(tmp_path, grown, store="whole").manifest
    assert manifest == whole


def test_what_has_vanished_is_gone(tmp_path: Path, grown: str) -> None:
    write_task(tmp_path / "t", {name(41): packed(41)})
    (tmp_path / "t" / name(1)).unlink()
    manifest = ingest(tmp_path, grown).manifest
    assert (manifest.layers, manifest.runs) == ((), 40)


def test_a_damaged_index_costs_nothing_but_time(tmp_path: Path, grown: str) -> None:
    manifest = ingest(tmp_path, grown).manifest
    assert manifest.index is not None
    path = tmp_path / "store" / str(TASK) / manifest.schema_revision / manifest.index.name
    path.write_bytes(path.read_bytes()[:40])
    write_task(tmp_path / "t", {name(41): packed(41)})
    again = ingest(tmp_path, grown).manifest
    assert (again.layers, again.runs) == ((), 41)


def test_two_layers_at_once_are_safe(tmp_path: Path, grown: str) -> None:
    write_task(tmp_path / "t", {name(41): packed(41)})
    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(lambda _: ingest(tmp_path, grown), range(3)))
    assert len({result.manifest.digest for result in results}) == 1
    assert [len(result.manifest.layers) for result in results] == [1, 1, 1]
    rows, _, _ = content(tmp_path, results[0].manifest)
    assert isinstance(rows, dict)
    assert len(rows["runs"]) == 41


def test_one_that_breaks_off_leaves_what_was_there_and_the_next_goes_on(tmp_path: Path, grown: str) -> None:
    before = ingest(tmp_path, grown).manifest
    write_task(tmp_path / "t", {name(41): packed(41)})
    published = tmp_path / "store" / str(TASK) / before.schema_revision / "manifest.json"
    content_before = published.read_bytes()
    with pytest.raises(ObjectMissing):
        ingest_task(IngestRequest(TASK, (grown, f"{grown}/{name(99)}"), (tmp_path / "store").as_uri(), LOSS))
    assert published.read_bytes() == content_before
    assert len(ingest(tmp_path, grown).manifest.layers) == 1


def test_an_objective_that_changes_finds_the_best_anew(tmp_path: Path, grown: str) -> None:
    write_task(tmp_path / "t", {name(41): packed(41)})
    manifest = ingest(tmp_path, grown, objective=Objective("loss", "maximize")).manifest
    assert manifest.layers == ()
    assert manifest.best is not None
    assert manifest.best.run_id == run_id(1)


def test_a_hand_of_tarballs_without_segments(tmp_path: Path, grown: str) -> None:
    write_task(tmp_path / "t", {name(41): tarball(point(41)), name(42): tarball(point(42))})
    manifest = ingest(tmp_path, grown).manifest
    assert [(layer.tarballs, layer.bundle is not None) for layer in manifest.layers] == [(2, True)]
    assert manifest.best is not None
    assert manifest.best.run_id == run_id(42)
