"""The folder that the image's build makes, from the real MLflow's UI."""

import gzip
import json
from pathlib import Path

import brotli
import pytest

from mlflow_on_demand.compress_ui import compress_ui
from mlflow_on_demand.mlflow_facts import ui_dir
from mlflow_on_demand.ui_pack import UiFile, UiPack, open_pack, tag_of
from mlflow_on_demand.ui_page import make_page
from support.packed_ui import QUALITY

DECODED = {"br": brotli.decompress, "gzip": gzip.decompress}


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> UiPack:
    return compress_ui(tmp_path_factory.mktemp("share") / "mlflow-ui", QUALITY)


def content_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_each_file_is_there_in_each_form_that_is_smaller(pack: UiPack) -> None:
    whole = {path.relative_to(ui_dir()).as_posix() for path in ui_dir().rglob("*") if path.is_file()}
    assert {*pack.files, "index.html"} == whole
    for name, file in {**pack.files, "index.html": pack.page}.items():
        original = make_page() if name == "index.html" else (ui_dir() / name).read_bytes()
        sizes = [len(original)]
        for encoding, decode in DECODED.items():
            path = pack.path_of(name, encoding)
            assert path.exists() == (encoding in file.tags)
            if path.exists():
                form = path.read_bytes()
                assert decode(form) == original, path
                assert file.tags[encoding] == tag_of(form)
                sizes.append(len(form))
        assert file.tags["identity"] == tag_of(original)
        assert sizes[1:] == [size for size in sizes[1:] if size < sizes[0]]
        assert len({*file.tags.values()}) == len(sizes)


@pytest.mark.parametrize(
    ("pattern", "forms"),
    [
        ("static/js/main.*.js", ["br", "gzip", "identity"]),
        ("static/css/main.*.css", ["br", "gzip", "identity"]),
        ("static/media/*.woff2", ["identity"]),
        ("static/media/*.png", ["identity"]),
    ],
)
def test_forms_stand_smallest_first(pack: UiPack, pattern: str, forms: list[str]) -> None:
    names = [path.relative_to(ui_dir()).as_posix() for path in ui_dir().glob(pattern)]
    assert names
    assert [list(pack.files[name].tags) for name in names] == [forms] * len(names)


def test_the_same_input_makes_the_same_folder_in_place_of_the_old(pack: UiPack, tmp_path: Path) -> None:
    target = tmp_path / "share" / "mlflow-ui"
    target.mkdir(parents=True)
    (target / "left over").touch()
    compress_ui(target, QUALITY)
    assert content_of(target) == content_of(pack.folder)
    assert [path.name for path in target.parent.iterdir()] == ["mlflow-ui"]
    names_no_file_and_no_time = bytes([0x1F, 0x8B, 8, 0, 0, 0, 0, 0])
    assert (target / "gzip" / "index.html").read_bytes().startswith(names_no_file_and_no_time)


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "mlflow-ui"
    target.mkdir()
    (target / "old").touch()
    with pytest.raises(brotli.error):
        compress_ui(target, 99)
    assert content_of(tmp_path) == {"mlflow-ui/old": b""}


def test_without_a_folder_the_page_alone_is_known(tmp_path: Path) -> None:
    assert open_pack(tmp_path) == UiPack(tmp_path, UiFile("text/html", {"identity": tag_of(make_page())}))


def test_the_forms_of_another_mlflow_are_not_served(pack: UiPack, tmp_path: Path) -> None:
    index = json.loads((pack.folder / "index.json").read_text())
    index["index.html"][1]["identity"] = tag_of(b"another page")
    (tmp_path / "index.json").write_text(json.dumps(index))
    assert open_pack(tmp_path).files == {}
