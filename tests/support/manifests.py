"""Manifests as `kubectl kustomize` renders them, and a few ways to look into them."""

import functools
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from support.need import lacking

KNATIVE = Path(__file__).parents[2] / "knative"
PLATFORMS = ("laptop", "production", "okd")
OVERLAYS = (*PLATFORMS, "okd/operator")
COMPONENTS = tuple(sorted(path.name for path in (KNATIVE / "components").iterdir()))
Resource = dict[str, Any]


@functools.cache
def kustomize(folder: Path) -> tuple[Resource, ...]:
    """What is applied of a kustomization."""
    if shutil.which("kubectl") is None:
        lacking("kubectl is missing: tests/install-debian-packages installs it")
    done = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return tuple(yaml.safe_load_all(done.stdout))


def overlay(name: str) -> tuple[Resource, ...]:
    return kustomize(KNATIVE / "overlays" / name)


def with_component(folder: Path, *names: str) -> tuple[Resource, ...]:
    """The base and one component (or several), with production's values: a component is no whole by itself."""
    values = (KNATIVE / "overlays/production/values.yaml").read_text()
    (folder / "values.yaml").write_text(values)
    outside = Path(*[".."] * (len(folder.resolve().parts) - 1)) / KNATIVE.resolve().relative_to("/")
    kustomization = {
        "resources": [str(outside / "base"), "values.yaml"],
        "components": [str(outside / "components" / name) for name in names],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return kustomize(folder.resolve())


def of_kind(objects: tuple[Resource, ...], kind: str, group: str = "") -> dict[str, Resource]:
    return {
        one["metadata"]["name"]: one
        for one in objects
        if one["kind"] == kind and one["apiVersion"].startswith(group or one["apiVersion"])
    }


def functions(objects: tuple[Resource, ...]) -> dict[str, Resource]:
    return of_kind(objects, "Service", "serving.knative.dev")


def container(service: Resource) -> Resource:
    found: Resource = service["spec"]["template"]["spec"]["containers"][0]
    return found
