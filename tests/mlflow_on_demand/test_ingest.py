"""Ingest as a whole: what a snapshot says, and how it is published."""

import dataclasses
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bigpanda_laptop.s3 import S3Server
from mlflow_on_demand.empty_database import empty_database, make_empty_database, prepare, prepared_path
from mlflow_on_demand.snapshot import BestRun, Experiment, Objective, find_manifest, open_snapshot_store
from mlflow_on_demand.stores import open_store
from support.hpo_files import NOON, TASK, Point, name, run_id, tarball, write_task
from support.ingests import database_of, ingest, rows


def test_every_process_makes_the_same_empty_database(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mlflow_on_demand.empty_database", str(tmp_path / "empty.db")]
    subprocess.run(command, env={"PATH": ""}, check=True, capture_output=True)
    assert (tmp_path / "empty.db").read_bytes() == empty_database() == make_empty_database()


def test_an_environment_prepares_the_empty_database_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    prepare()
    (made,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert made.read_bytes() == empty_database()
    made.write_bytes(b"kept")
    prepare()
    assert prepared_path().read_bytes() == b"kept"


# --- What a snapshot says ---


def test_a_segmented_task(tmp_path: Path) -> None:
    folder = write_task(
        tmp_path / "tarballs",
        {
            name(1, "calo"): tarball(Point(run_id(1), "calo one", artifacts={"plots/a.html": b"<b>"})),
            name(2, "muon"): tarball(Point(run_id(2), metrics={"loss": f"{NOON} 0.25 0\n", "acc": f"{NOON} 1 0\n"})),
            name(4, "muon"): tarball(Point(run_id(3), lifecycle="deleted", metrics={"loss": f"{NOON} 0 0\n"})),
            "stdout.txt": b"not ours",
            "77.metrics.000001.tgz": b"not ours",
        },
    )
    result = ingest(tmp_path, folder)
    manifest = result.manifest
    assert result.changed
    assert manifest.experiments == (
        Experiment("30456789550211", "calo", "calo", 1, ("lr",)),
        Experiment("30456789306324", "muon", "muon", 1, ("lr",)),
    )
    assert (manifest.runs, manifest.points, manifest.metric_points, manifest.lost) == (2, 3, 5, ())
    assert manifest.missing_serials == (3,)
    assert manifest.best == BestRun(run_id(2), "point", "30456789306324", 0.25)
    assert (manifest.metrics, manifest.params) == (("acc", "loss"), ("lr",))
    assert [source.name for source in manifest.sources] == [name(1, "calo"), name(2, "muon"), name(4, "muon")]
    path = database_of(tmp_path, result)
    assert rows(path, "SELECT experiment_id, name, lifecycle_stage FROM experiments ORDER BY name") == [
        (0, "Default", "deleted"),
        (30456789550211, "calo", "active"),
        (30456789306324, "muon", "active"),
    ]
    assert rows(path, f"SELECT key, value FROM tags WHERE run_uuid = '{run_id(1)}' ORDER BY 1") == [
        ("panda.jeditaskid", str(TASK)),
        ("panda.segment", "calo"),
        ("panda.tarball", name(1, "calo")),
    ]
    assert rows(path, f"SELECT artifact_uri FROM runs WHERE run_uuid = '{run_id(1)}'") == [
        (f"panda-snapshot:/{TASK}/{run_id(1)}/artifacts",)
    ]
    summary = json.loads(
        open_snapshot_store((tmp_path / "store").as_uri(), TASK, manifest.schema_revision).read(manifest.summary.name)
    )
    assert [run["run_id"] for run in summary["best"]] == [run_id(2), run_id(1)]


def test_a_task_without_segments_is_one_experiment_named_after_it(tmp_path: Path) -> None:
    folder = write_task(tmp_path / "t", {name(1): tarball(Point(run_id(1)))})
    assert ingest(tmp_path, folder).manifest.experiments == (Experiment(str(TASK), f"task {TASK}", "", 1, ("lr",)),)


def test_a_segment_may_be_called_like_mlflows_own_experiment(tmp_path: Path) -> None:
    folder = write_task(tmp_path / "t", {name(1, "Default"): tarball(Point(run_id(1)))})
    path = database_of(tmp_path, ingest(tmp_path, folder))
    assert [found for (found,) in rows(path, "SELECT name FROM experiments ORDER BY experiment_id")] == [
        "Default (MLflow)",
        "Default",
    ]


def test_a_task_of_which_nothing_has_come(tmp_path: Path) -> None:
    manifest = ingest(tmp_path, (tmp_path / "nothing").as_uri()).manifest
    assert (manifest.runs, manifest.best, [found.name for found in manifest.experiments]) == (0, None, [f"task {TASK}"])


def test_single_files_and_prefixes_may_be_mixed(tmp_path: Path) -> None:
    folder = write_task(tmp_path / "a", {name(n): tarball(Point(run_id(n))) for n in (1, 2)})
    other = write_task(tmp_path / "b", {name(3): tarball(Point(run_id(3))), name(4): tarball(Point(run_id(4)))})
    manifest = ingest(tmp_path, f"{folder}/{name(2)}", folder, f"{other}/{name(4)}").manifest
    assert [source.name for source in manifest.sources] == [name(1), name(2), name(4)]


# --- A pure function of the tarballs, safely published ---


def test_the_same_tarballs_give_the_same_digest(tmp_path: Path) -> None:
    tarballs = {name(n, "s"): tarball(Point(run_id(n), artifacts={"a": bytes([n])})) for n in range(1, 6)}
    first = ingest(tmp_path, write_task(tmp_path / "a", tarballs), store="one")
    second = ingest(tmp_path, write_task(tmp_path / "b", dict(reversed(tarballs.items()))), store="two")
    assert first.manifest.digest == second.manifest.digest
    less = dict(list(tarballs.items())[1:])
    assert ingest(tmp_path, write_task(tmp_path / "c", less), store="three").manifest.digest != first.manifest.digest


def test_nothing_new_is_nothing_done(tmp_path: Path) -> None:
    folder = write_task(tmp_path / "t", {name(1): tarball(Point(run_id(1)))})
    first = ingest(tmp_path, folder)
    stored = sorted(open_store((tmp_path / "store").as_uri()).list(), key=lambda found: found.key)
    again = ingest(tmp_path, folder)
    assert again == dataclasses.replace(first, changed=False)
    assert sorted(open_store((tmp_path / "store").as_uri()).list(), key=lambda found: found.key) == stored
    assert ingest(tmp_path, folder, objective=Objective("loss", "maximize")).changed
    write_task(tmp_path / "t", {name(2): tarball(Point(run_id(2)))})
    assert ingest(tmp_path, folder).manifest.runs == 2


def test_an_unreadable_manifest_is_replaced(tmp_path: Path) -> None:
    folder = write_task(tmp_path / "t", {name(1): tarball(Point(run_id(1)))})
    revision = ingest(tmp_path, folder).manifest.schema_revision
    (tmp_path / "store" / str(TASK) / revision / "manifest.json").write_text("{")
    assert ingest(tmp_path, folder).changed
    assert find_manifest(open_snapshot_store((tmp_path / "store").as_uri(), TASK, revision)) is not None


def test_two_at_once_are_safe(tmp_path: Path) -> None:
    folder = write_task(tmp_path / "t", {name(n): tarball(Point(run_id(n))) for n in range(1, 4)})
    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(lambda _: ingest(tmp_path, folder), range(3)))
    assert len({result.manifest.digest for result in results}) == 1
    assert database_of(tmp_path, results[0]).exists()


def test_scratch_files_are_gone_afterwards(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    ingest(tmp_path, write_task(tmp_path / "t", {name(1): tarball(Point(run_id(1)))}), work_dir=tmp_path / "work")
    assert list((tmp_path / "work").iterdir()) == []


@pytest.fixture
def bucket(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    for variable, value in s3_server.environment.items():
        monkeypatch.setenv(variable, value)
    bucket = f"ingest-{abs(hash(tmp_path)):x}"
    (s3_server.folder / bucket).mkdir()
    write_task(s3_server.folder / bucket / "hpo", {name(n): tarball(Point(run_id(n))) for n in (1, 2)})
    return bucket


def test_from_s3_to_s3(tmp_path: Path, bucket: str) -> None:
    result = ingest(tmp_path, f"s3://{bucket}/hpo", snapshot_store=f"s3://{bucket}/snapshots")
    assert result.manifest.runs == 2
    again = ingest(tmp_path, f"s3://{bucket}/hpo", snapshot_store=f"s3://{bucket}/snapshots")
    assert again == dataclasses.replace(result, changed=False)
