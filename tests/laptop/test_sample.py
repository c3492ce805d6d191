"""The sample task is what its README says: real file stores, named as PanDA names them, one of them lost."""

import re
import tarfile
from collections import Counter
from pathlib import Path

import pytest

SAMPLE = Path(__file__).parents[2] / "knative" / "laptop" / "sample"
TARBALLS = sorted((SAMPLE / "tarballs").iterdir())
NAME = re.compile(r"(?P<segment>[a-z]\w*)\.30456789\.metrics\.(?P<serial>\d{6})\.tgz")
PARAMETERS = {
    *("learning_rate", "weight_decay", "momentum", "hidden_units"),
    *("hidden_layers", "batch_size", "activation", "optimizer"),
}
METRICS = {"train_loss", "train_accuracy", "val_loss", "val_accuracy", "weight_norm"}


def test_names_are_pandas_and_one_serial_is_lost() -> None:
    names = [name for tarball in TARBALLS if (name := NAME.fullmatch(tarball.name)) is not None]
    assert len(names) == len(TARBALLS)
    assert Counter(name["segment"] for name in names) == {"digits_0_4": 23, "digits_5_9": 24}
    assert {int(name["serial"]) for name in names} == set(range(1, 49)) - {29}


def test_the_sample_is_small_enough_to_keep() -> None:
    assert sum(tarball.stat().st_size for tarball in TARBALLS) < 700_000


@pytest.mark.parametrize("tarball", TARBALLS, ids=lambda tarball: tarball.name)
def test_a_tarball_holds_one_run_of_a_file_store(tarball: Path) -> None:
    files = read_files(tarball)
    [run] = [path.parent for path in files if re.fullmatch(r"mlruns/\d+/[0-9a-f]{32}/meta\.yaml", str(path))]
    assert {path.name for path in files if path.parent == run / "params"} == PARAMETERS
    assert {path.name for path in files if path.parent == run / "metrics"} == METRICS
    for metric in METRICS:
        rows = [line.split(" ") for line in files[run / "metrics" / metric].decode().splitlines()]
        assert [int(step) for _, _, step in rows] == list(range(len(rows)))
        assert 20 <= len(rows) <= 30
        assert all(float(value) >= 0 for _, value, _ in rows)
    assert f"artifact_uri: file:///srv/workDir/{run}/artifacts\n" in files[run / "meta.yaml"].decode()
    assert f"artifact_location: file:///srv/workDir/{run.parent}\n" in files[run.parent / "meta.yaml"].decode()


def test_some_runs_left_each_kind_of_artifact() -> None:
    kinds = Counter(path.suffix for tarball in TARBALLS for path in read_files(tarball) if "artifacts" in path.parts)
    assert set(kinds) == {".html", ".json", ".log", ".png"}
    assert kinds[".html"] < len(TARBALLS)


def read_files(tarball: Path) -> dict[Path, bytes]:
    with tarfile.open(tarball) as archive:
        opened = {Path(member.name): archive.extractfile(member) for member in archive.getmembers()}
        return {path: content.read() for path, content in opened.items() if content is not None}
