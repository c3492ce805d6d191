"""Tarballs repeated, broken and hostile: each costs itself at most, and its loss is told (real ones: test_vintages)."""

import dataclasses
import io
import json
import os
import random
import tarfile
from pathlib import Path

import pytest

from mlflow_on_demand.bundle import open_bundle
from mlflow_on_demand.snapshot import Lost, open_snapshot_store
from mlflow_on_demand.unpack import Limits
from support.hpo_files import EXPERIMENT, NOON, TASK, Point, name, pack, run_id, tarball, write_task
from support.ingests import database_of, ingest, rows

NOISE = random.Random(1).randbytes(100_000)


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


def test_a_file_whose_name_is_no_text_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = write_task(tmp_path / "t", {name(1): tarball(Point(run_id(1)))})
    nameless = os.fsencode(tmp_path / "t") + b"/\xff." + name(2).encode()
    Path(os.fsdecode(nameless)).write_bytes(tarball(Point(run_id(2))))
    manifest = ingest(tmp_path, folder).manifest
    assert [source.name for source in manifest.sources] == [name(1)]
    assert [record.message for record in caplog.records if "UTF-8" in record.message]


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
