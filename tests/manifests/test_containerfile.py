"""The images' Containerfile against what depends on it: manifests, laptop, locks."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from bigpanda_laptop.deploy import read_manifests
from support.manifests import KNATIVE, container, functions

ROOT = KNATIVE.parent
IMAGE = ROOT / "mlflow-image"
TARGETS = ("functions", "mlflow")
BASE = functions(tuple(read_manifests(KNATIVE / "base")))


def stage(target: str) -> dict[str, str]:
    """The instructions of a stage and of those it stands on, by name, each with its last value."""
    found: dict[str, str] = {}
    for block in re.split(r"^(?=FROM )", (IMAGE / "Containerfile").read_text(), flags=re.MULTILINE)[1:]:
        head, *rest = block.splitlines()
        _, parent, _, name = head.split()
        if name == target:
            inherited = {} if parent == "${BASE}" else stage(parent)
            found = inherited | dict(line.split(" ", 1) for line in rest if re.match(r"[A-Z]+ ", line))
    return found


def pins(lock: Path) -> dict[str, list[str]]:
    """Each requirement with its hashes."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in lock.read_text().splitlines():
        text = line.strip().removesuffix("\\").strip()
        if text.startswith("--hash="):
            found[name].append(text)
        elif text:
            # A marker says on which machines; what is pinned is the version.
            name = text.partition(" ;")[0]
            found.setdefault(name, [])
    return found


@pytest.mark.parametrize("target", TARGETS)
def test_no_image_runs_as_root_or_names_a_port_of_its_own(target: str) -> None:
    user, group = stage(target)["USER"].split(":")
    assert int(user) > 0
    # Whatever user id OKD chooses, its group is 0.
    assert group == "0"
    assert stage(target)["EXPOSE"] == "8080"


def test_each_image_says_its_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    said = re.findall(r'image\.version="(.*?)"', (IMAGE / "Containerfile").read_text())
    assert said == [version] * len(TARGETS)


@pytest.mark.parametrize("target", TARGETS)
def test_a_laptop_starts_what_the_image_starts(target: str) -> None:
    laptop = tomllib.loads((KNATIVE / "laptop" / "images.toml").read_text())[f"bigpanda-mlflow/{target}"]
    assert laptop["entrypoint"] == json.loads(stage(target)["ENTRYPOINT"])
    assert Path(laptop["workdir"]).name == Path(stage(target)["WORKDIR"]).name == "functions"


@pytest.mark.parametrize("name", BASE)
def test_each_function_is_in_its_image(name: str) -> None:
    source = next(one for one in container(BASE[name])["args"] if one.startswith("--source="))
    assert (ROOT / "functions" / source.removeprefix("--source=")).is_file()
    assert container(BASE[name])["image"] in {f"bigpanda-mlflow/{target}" for target in TARGETS}


@pytest.mark.parametrize("lock", sorted((IMAGE / "locks").iterdir()), ids=lambda path: path.name)
def test_an_image_installs_what_the_tests_ran_with(lock: Path) -> None:
    everything, ours = pins(ROOT / "requirements.lock"), pins(lock)
    assert ours
    assert all(everything[name] == hashes for name, hashes in ours.items())
    assert all(ours.values())


def test_what_compresses_mlflows_page_lies_in_its_layer_and_nothing_else(tmp_path: Path) -> None:
    """The layer is kept while its files stay the same: one too many, and it is made anew for nothing."""
    copied = re.findall(r"mlflow-image/mlflow_on_demand/(\w+)\.py", (IMAGE / "Containerfile").read_text())
    (tmp_path / "mlflow_on_demand").mkdir()
    for name in copied:
        shutil.copy(IMAGE / "mlflow_on_demand" / f"{name}.py", tmp_path / "mlflow_on_demand")
    code = (
        "import mlflow_on_demand.compress_ui, sys; print(*(m for m in sys.modules if m.startswith('mlflow_on_demand')))"
    )
    ran = subprocess.run([sys.executable, "-S", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    needed = {name.rpartition(".")[2] for name in ran.stdout.split()}
    assert needed - {"mlflow_on_demand"} | {"__init__"} == {*copied}
