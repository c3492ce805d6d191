"""Ingest as a whole: what a snapshot says, and tarballs repeated, broken and hostile (real ones: test_vintages)."""

import dataclasses
import gzip
import io
import json
import random
import sqlite3
import subprocess
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from bigpanda_laptop.s3 import S3Server
from mlflow_on_demand.bundle import open_bundle
from mlflow_on_demand.empty_database import empty_database, make_empty_database, prepare, prepared_path
from mlflow_on_demand.ingest import IngestRequest, IngestResult, ingest_task
from mlflow_on_demand.snapshot import BestRun, Experiment, Lost, Objective, find_manifest, open_snapshot_store
from mlflow_on_demand.stores import open_store
from mlflow_on_demand.unpack import Limits
from support.hpo_files import EXPERIMENT, NOON, TASK, Point, name, pack, run_id, tarball, write_task

LOSS = Objective("loss", "minimize")
NOISE = random.Random(1).randbytes(100_000)


def ingest(tmp_path: Path, *artifacts: str, store: str = "store", **changes: object) -> IngestResult:
    request = IngestRequest(TASK, artifacts, (tmp_path / store).as_uri(), LOSS)
    return ingest_task(dataclasses.replace(request, **changes))  # type: ignore[arg-type]


def database_of(tmp_path: Path, result: IngestResult, store: str = "store") -> Path:
    manifest = result.manifest
    packed = open_store(f"{(tmp_path / store).as_uri()}/{TASK}/{manifest.schema_revision}").read(manifest.database.name)
    path = tmp_path / f"{manifest.digest}.db"
    path.write_bytes(gzip.decompress(packed))
    return path


def rows(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute(sql).fetchall()


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


# --- Broken and repeated tarballs ---


def test_a_broken_tarball_is_lost_and_the_rest_is_not(tmp_path: Path) -> None:
    good = tarball(Point(run_id(1)))
    cut = tarball(Point(run_id(2), artifacts={"x": bytes(range(256)) * 400}))
    folder = write_task(
        tmp_path / "t",
        {
            name(1): good,
            name(2): cut[: len(cut) - 30],
            name(3): b"oops",
            name(4): pack({"mlruns/1/../../evil": b""}),
            name(5): pack(EXPERIMENT),
            name(6): pack({**Point(run_id(6)).files(), f"mlruns/1/{run_id(7)}/params/lr": b"1"}),
            name(7): tarball(Point(run_id(8), params={"p": "x" * 5000})),
        },
    )
    manifest = ingest(tmp_path, folder, limits=Limits(max_text_bytes=4000)).manifest
    assert manifest.lost == (
        Lost(name(2), "is cut short"),
        Lost(name(3), "is no gzip file"),
        Lost(name(4), "holds a path that leads out of it (mlruns/1/../../evil)"),
        Lost(name(5), "holds no run of MLflow"),
        Lost(name(6), f"holds a run without a readable meta.yaml ({run_id(7)})"),
        Lost(name(7), "holds more than 4000 bytes of parameters and tags"),
    )
    assert (manifest.runs, manifest.points) == (2, 2)
    alone = ingest(tmp_path, write_task(tmp_path / "u", {name(1): good}), store="alone")
    without = {name(1): good, name(2): cut[: len(cut) - 30]}
    same = ingest(tmp_path, write_task(tmp_path / "v", without), store="same")
    assert same.manifest.database == alone.manifest.database
    assert same.manifest.bundle == alone.manifest.bundle


def special(kind: bytes, target: str = "") -> bytes:
    """A good run, and beside it something that is no file."""
    info = tarfile.TarInfo(f"mlruns/1/{run_id(9)}/artifacts/x")
    info.type, info.linkname = kind, target
    return pack(EXPERIMENT | Point(run_id(9)).files(), info)


def beside(path: str, content: bytes = b"") -> bytes:
    return pack(EXPERIMENT | Point(run_id(9)).files() | {path: content})


SMALL = Limits(max_bytes=40_000_000, max_members=50, max_ratio=20)
HOSTILE = {
    "symlink": (special(tarfile.SYMTYPE, "/etc/passwd"), "holds a link"),
    "hard link": (special(tarfile.LNKTYPE, "mlruns/1/meta.yaml"), "holds a link"),
    "character device": (special(tarfile.CHRTYPE), "neither a file nor a directory"),
    "block device": (special(tarfile.BLKTYPE), "neither a file nor a directory"),
    "pipe": (special(tarfile.FIFOTYPE), "neither a file nor a directory"),
    "path out": (beside("mlruns/1/../../../evil"), "leads out of it"),
    "absolute path": (beside("/etc/evil"), "leads out of it"),
    "bomb by ratio": (beside(f"mlruns/1/{run_id(9)}/artifacts/x", b"\0" * 30_000_000), "more than 20 times its size"),
    "bomb by bytes": (beside(f"mlruns/1/{run_id(9)}/artifacts/x", NOISE * 450), "more than 40000000 bytes"),
    "bomb by members": (tarball(Point(run_id(9), tags={f"t{n}": "" for n in range(60)})), "more than 50 files"),
    "cut in the middle of a run": (tarball(Point(run_id(9), artifacts={"x": NOISE}))[:50_000], "is cut short"),
    "no run": (pack(EXPERIMENT), "holds no run"),
    "only folders": (pack({}), "holds no run"),
}


@pytest.mark.parametrize("how", HOSTILE)
def test_what_is_hostile_is_lost_with_its_reason_and_the_rest_is_served(tmp_path: Path, how: str) -> None:
    content, reason = HOSTILE[how]
    tarballs = {name(1): tarball(Point(run_id(1))), name(2): content, name(3): tarball(Point(run_id(3)))}
    folder = write_task(tmp_path / "in" / "t", tarballs)
    result = ingest(tmp_path, folder, limits=SMALL)
    manifest = result.manifest
    assert [lost.name for lost in manifest.lost] == [name(2)]
    assert reason in manifest.lost[0].reason
    assert (manifest.runs, manifest.points) == (2, 2)
    found = rows(
        database_of(tmp_path, result), "SELECT run_uuid FROM runs UNION SELECT run_uuid FROM metrics ORDER BY 1"
    )
    assert found == [(run_id(1),), (run_id(3),)]
    store = open_snapshot_store((tmp_path / "store").as_uri(), TASK, manifest.schema_revision)
    summary = json.loads(store.read(manifest.summary.name))
    assert (summary["lost"], summary["losses"]) == (1, [dataclasses.asdict(manifest.lost[0])])
    assert open_bundle(store, manifest).sizes() == {}
    assert sorted(path.name for path in tmp_path.rglob("*evil*")) == []


def test_files_that_are_not_what_their_place_says_lose_themselves_only(tmp_path: Path) -> None:
    files = EXPERIMENT | Point(run_id(1)).files()
    broken = {
        "mlruns/1/datasets/d/meta.yaml": b"{",
        f"mlruns/1/{run_id(1)}/inputs/i/meta.yaml": b"source_type: MOON\n",
        f"mlruns/1/{run_id(1)}/outputs/m-1/meta.yaml": b"",
        "mlruns/1/models/m-1/meta.yaml": b"model_id: ../x\n",
    }
    manifest = ingest(tmp_path, write_task(tmp_path / "t", {name(1): pack(files | broken)})).manifest
    assert manifest.lost == (
        Lost(name(1), "holds a logged model without a readable meta.yaml (m-1)"),
        Lost(name(1), f"holds a file that cannot be read (mlruns/1/{run_id(1)}/inputs/i/meta.yaml and 2 more)"),
    )
    assert (manifest.runs, manifest.metric_points) == (1, 2)


MODEL = "mlruns/1/models/m-1"


def with_model(point: Point, step: int) -> bytes:
    """A run that made a model from a dataset."""
    run = f"mlruns/1/{point.run_id}"
    files = {
        f"{MODEL}/meta.yaml": f"model_id: m-1\nname: net\nsource_run_id: '{point.run_id}'\nstatus: 2\n",
        f"{MODEL}/params/depth": str(step),
        f"{MODEL}/metrics/acc": f"{NOON} 0.5 {step} {point.run_id}\n",
        f"{MODEL}/artifacts/MLmodel": str(step),
        f"{run}/outputs/m-1/meta.yaml": f"step: {step}\n",
        f"{run}/inputs/d/meta.yaml": f"source_id: d\nsource_type: DATASET\ntags:\n  step: '{step}'\n",
        "mlruns/1/datasets/d/meta.yaml": "name: digits\ndigest: d1\nsource: s\nsource_type: local\n",
    }
    return pack(EXPERIMENT | point.files() | {path: text.encode() for path, text in files.items()})


@pytest.mark.parametrize("better", [1, 2])
def test_of_a_retried_job_the_models_and_data_are_those_of_the_better_run(tmp_path: Path, better: int) -> None:
    worse, good = Point(run_id(1), status=1, end=None), Point(run_id(1))
    tarballs = {name(n): with_model(good if n == better else worse, n) for n in (1, 2)}
    result = ingest(tmp_path, write_task(tmp_path / "t", tarballs))
    path = database_of(tmp_path, result)
    assert rows(path, "SELECT param_value FROM logged_model_params") == [(str(better),)]
    assert rows(path, "SELECT metric_step FROM logged_model_metrics") == [(better,)]
    assert rows(path, "SELECT step FROM inputs WHERE source_type = 'RUN_OUTPUT'") == [(better,)]
    assert rows(path, "SELECT value FROM input_tags") == [(str(better),)]
    assert rows(path, "SELECT count(*) FROM datasets") == [(1,)]
    store = open_snapshot_store((tmp_path / "store").as_uri(), TASK, result.manifest.schema_revision)
    target = io.BytesIO()
    open_bundle(store, result.manifest).copy("models/m-1/artifacts/MLmodel", target)
    assert target.getvalue() == str(better).encode()


def test_a_half_written_line_loses_itself_only(tmp_path: Path) -> None:
    point = Point(run_id(1), metrics={"loss": f"{NOON} 1.0 0\n{NOON} 0.5 1\n{NOON} 0.2"})
    result = ingest(tmp_path, write_task(tmp_path / "t", {name(1): tarball(point)}))
    assert (result.manifest.damaged_lines, result.manifest.metric_points) == (1, 2)
    assert rows(database_of(tmp_path, result), "SELECT value FROM latest_metrics") == [(0.5,)]


def test_repeated_lines_are_kept_once(tmp_path: Path) -> None:
    point = Point(run_id(1), metrics={"loss": f"{NOON} 1.0 0\n" * 3})
    assert ingest(tmp_path, write_task(tmp_path / "t", {name(1): tarball(point)})).manifest.metric_points == 1


RETRIES = [
    (Point(run_id(1), "running", status=1, end=None), Point(run_id(1), "finished")),
    (Point(run_id(1), "fewer", metrics={"loss": f"{NOON} 1 0\n"}), Point(run_id(1), "more")),
    (Point(run_id(1), "early", end=NOON), Point(run_id(1), "late", end=NOON + 1)),
]


@pytest.mark.parametrize(("worse", "better"), RETRIES)
def test_of_a_retried_job_the_better_run_counts(tmp_path: Path, worse: Point, better: Point) -> None:
    first = write_task(tmp_path / "a", {name(1): tarball(worse), name(2): tarball(better)})
    second = write_task(tmp_path / "b", {name(1): tarball(better), name(2): tarball(worse)})
    for folder, winner in ((first, name(2)), (second, name(1))):
        result = ingest(tmp_path, folder, store=winner)
        path = database_of(tmp_path, result, winner)
        assert rows(path, "SELECT name FROM runs") == [(better.name,)]
        assert rows(path, "SELECT value FROM tags WHERE key = 'panda.tarball'") == [(winner,)]
        assert rows(path, "SELECT count(*) FROM metrics") == [(better.metrics["loss"].count("\n"),)]


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
