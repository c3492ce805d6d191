import io
import random
import zipfile
from pathlib import Path

import pytest

from mlflow_on_demand.bundle import Bundle, Spool
from mlflow_on_demand.errors import ChecksumMismatch, ObjectMissing
from mlflow_on_demand.stores import open_store

BIG = random.Random(2).randbytes(3_000_000)
CONTENTS = {"r2/artifacts/plöt.html": b"<b>", "r1/artifacts/model/weights": BIG, "r1/artifacts/empty": b""}


def make_bundle(folder: Path, contents: dict[str, bytes]) -> Path:
    spool = Spool(folder / "spool")
    spooled = [spool.add(name, io.BytesIO(content)) for name, content in contents.items()]
    spool.write_bundle(folder / "bundle.zip", spooled)
    spool.close()
    return folder / "bundle.zip"


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    path = make_bundle(tmp_path, CONTENTS)
    return Bundle(open_store(tmp_path.as_uri()), "bundle.zip", path.stat().st_size)


def read(bundle: Bundle, name: str) -> bytes:
    target = io.BytesIO()
    bundle.copy(name, target)
    return target.getvalue()


def test_members_are_read_out_of_the_store(bundle: Bundle) -> None:
    assert bundle.sizes() == {name: len(content) for name, content in CONTENTS.items()}
    assert {name: read(bundle, name) for name in CONTENTS} == CONTENTS
    with pytest.raises(ObjectMissing):
        read(bundle, "r1/artifacts")


def test_anybody_can_open_it(tmp_path: Path) -> None:
    with zipfile.ZipFile(make_bundle(tmp_path, CONTENTS)) as bundle:
        assert bundle.testzip() is None
        assert bundle.namelist() == sorted(CONTENTS)


def test_the_order_in_which_artifacts_came_does_not_matter(tmp_path: Path) -> None:
    first = make_bundle(tmp_path, CONTENTS).read_bytes()
    assert make_bundle(tmp_path, dict(reversed(CONTENTS.items()))).read_bytes() == first


def test_what_was_cut_is_gone(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    kept = spool.add("a", io.BytesIO(b"kept"))
    mark = spool.mark()
    spool.add("b", io.BytesIO(BIG))
    spool.cut(mark)
    also = spool.add("c", io.BytesIO(b"also"))
    spool.write_bundle(tmp_path / "bundle.zip", [also, kept])
    spool.close()
    with zipfile.ZipFile(tmp_path / "bundle.zip") as bundle:
        assert {name: bundle.read(name) for name in bundle.namelist()} == {"a": b"kept", "c": b"also"}


def test_damage_is_told(tmp_path: Path) -> None:
    path = make_bundle(tmp_path, CONTENTS)
    content = bytearray(path.read_bytes())
    content[content.index(BIG[:20]) + 5] ^= 1
    path.write_bytes(content)
    store = open_store(tmp_path.as_uri())
    with pytest.raises(ChecksumMismatch, match="weights"):
        read(Bundle(store, "bundle.zip", len(content)), "r1/artifacts/model/weights")
    with pytest.raises(ChecksumMismatch, match="bundle"):
        Bundle(store, "bundle.zip", len(content) // 2).sizes()
