"""`make image` with each tool that may be there and on the base that is named; none of these builds needs a network."""

import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from support.need import lacking
from support.serving import free_port

ROOT = Path(__file__).parents[2]
RECIPES = {
    "below": "FROM scratch AS below\nCOPY below.Containerfile /\n",
    "above": "ARG BASE\nFROM ${BASE} AS above\nCOPY above.Containerfile /\n",
}
Make = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The script in a folder of its own, with what it builds from."""
    project = tmp_path / "project"
    for script in ("mlflow-image/make-images", "tests/install-debian-packages"):
        (project / script).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / script, project / script)
    for name, recipe in RECIPES.items():
        (project / f"{name}.Containerfile").write_text(recipe)
    return project


@pytest.fixture
def make(project: Path, tmp_path: Path) -> Make:
    """Builds a recipe where of the tools that could do it only this one is to be found, and none can be installed."""

    def run(tool: str, name: str, base: str) -> subprocess.CompletedProcess[str]:
        if tool and shutil.which(tool) is None:
            lacking(f"{tool} is missing: tests/install-debian-packages installs it")
        path = tmp_path / f"only-{tool}"
        path.mkdir(exist_ok=True)
        hidden = {"buildah", "podman", "docker", "apt-get"} - {tool}
        for folder in os.environ["PATH"].split(":"):
            for found in Path(folder).glob("*"):
                if found.name not in hidden and not (path / found.name).is_symlink():
                    (path / found.name).symlink_to(found)
        environment = {**os.environ, "PATH": str(path), "CI": "", "BASE": base}
        command = [str(project / "mlflow-image" / "make-images"), f"{name}.Containerfile", ".", name]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)

    return run


def layers_of(archive: Path) -> list[str]:
    """The digests of an OCI archive's layers, lowest first."""
    with tarfile.open(archive) as files:

        def read(name: str) -> dict[str, list[dict[str, str]]]:
            content = files.extractfile(name)
            assert content is not None
            return dict(json.load(content))

        (entry,) = read("index.json")["manifests"]
        algorithm, _, digest = entry["digest"].partition(":")
        return [layer["digest"] for layer in read(f"blobs/{algorithm}/{digest}")["layers"]]


@pytest.mark.parametrize("tool", ["buildah", "podman"])
def test_an_image_stands_on_the_base_that_is_named(make: Make, project: Path, tool: str) -> None:
    for name, base in (("below", "scratch"), ("above", "localhost/bigpanda-mlflow/below")):
        made = make(tool, name, base)
        assert made.returncode == 0, made.stderr
        assert made.stdout == f"Building build/images/{name}.tar with {tool} ...\n"
    below, above = (layers_of(project / f"build/images/{name}.tar") for name in RECIPES)
    assert (len(below), above[:-1]) == (1, below)


def test_a_base_that_cannot_be_had_is_named(make: Make) -> None:
    base = f"127.0.0.1:{free_port()}/other:1"
    made = make("buildah", "above", base)
    assert made.returncode != 0
    assert base in made.stderr


def test_without_any_tool_it_says_which_would_do(make: Make) -> None:
    made = make("", "above", "scratch")
    assert made.returncode == 1
    assert "Neither buildah nor podman is here, nor docker with a daemon that answers" in made.stderr
