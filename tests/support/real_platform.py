"""The platform on a real cluster, as `make deploy OVERLAY=laptop` puts it there, reached as its users reach it."""

import contextlib
import dataclasses
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests
import yaml

from bigpanda_laptop.deploy import NAMESPACE, make_secrets
from support.laptop import make_request, until
from support.manifests import KNATIVE, Resource
from support.real_cluster import Target, apply, kubectl, temporary_namespace

READY_SECONDS = "240s"
FLEET = (41, 42, 43, 44, 45)
"""Tasks with the sample's tarballs as their own, for tests that need several pages with results."""
ROLLOUT = {"COHORTS": "2,100%", "SOAK": "PT1S", "STEP_SOAK": "PT1S", "AT_ONCE": "2", "VERIFY_TIMEOUT": "PT120S"}
"""Settings of rollouts: two cohorts without much ado between them, and patience for two cores that do all the work."""
_SETTINGS_OF_KNATIVE = KNATIVE / "components" / "knative-config" / "config.yaml"


@dataclasses.dataclass(frozen=True)
class Images:
    """The product's two images, by digest; and for an upgrade, the MLflow image with `other_version()` in it."""

    functions: str
    mlflow: str
    other: str = ""


@dataclasses.dataclass(frozen=True)
class Platform:
    """What a test asks of the deployed platform."""

    target: Target
    overlay: Path
    token: str = dataclasses.field(repr=False)
    ops_token: str = dataclasses.field(repr=False)

    def apply(self) -> None:
        """The overlay, as `make deploy` applies it; returns when all is ready."""
        field_manager = "--field-manager=bigpanda-mlflow"
        kubectl("apply", "--server-side", "--force-conflicts", field_manager, "-k", str(self.overlay))
        for kind in ("broker", "ksvc", "trigger", "pingsource"):
            kubectl("-n", NAMESPACE, "wait", kind, "--all", "--for=condition=Ready", f"--timeout={READY_SECONDS}")

    def url(self, service: str) -> str:
        return f"http://{self.target.host(service, NAMESPACE)}"

    def get(self, service: str, path: str = "/", patience: float = 300) -> requests.Response:
        """As a browser would ask for a page, whatever DNS says of its host."""
        host = {"Host": self.target.host(service, NAMESPACE)}
        return requests.get(f"{self.target.ingress}{path}", headers=host, timeout=patience)

    def send(self, prefer: str = "", **event: Any) -> requests.Response:
        """An event to the front door."""
        headers, body = make_request(**event)
        wanted = {"Prefer": prefer} if prefer else {}
        return requests.post(self.target.ingress, headers={**headers, **self._door(), **wanted}, data=body, timeout=300)

    def ask(self, task: int) -> dict[str, Any]:
        """The front door's answer to GET /tasks/<jeditaskid>."""
        answer = requests.get(f"{self.target.ingress}/tasks/{task}", headers=self._door(), timeout=60)
        found: dict[str, Any] = answer.json()
        return found

    def _door(self) -> dict[str, str]:
        return {"Host": self.target.host("front", NAMESPACE), "Authorization": f"Bearer {self.token}"}

    def service(self, name: str) -> Resource | None:
        text = kubectl("-n", NAMESPACE, "get", "ksvc", name, "--ignore-not-found", "-o", "json")
        found: Resource | None = json.loads(text) if text else None
        return found

    def revisions(self, service: str) -> list[str]:
        return self._names("revisions", service)

    def pods(self, service: str) -> list[str]:
        """Names of the Service's Pods, those that are still ending included."""
        return self._names("pods", service)

    def _names(self, kind: str, service: str) -> list[str]:
        text = kubectl("-n", NAMESPACE, "get", kind, "-l", f"serving.knative.dev/service={service}", "-o", "name")
        return [line.rpartition("/")[2] for line in text.split()]


@contextlib.contextmanager
def deployed(target: Target, images: Images, stores: dict[str, str], folder: Path) -> Iterator[Platform]:
    """The overlay `laptop` with these images and this cluster's domain, ready.

    Gone afterwards, and Knative's settings are as before.
    """
    overlay = write_overlay(folder, target, images)
    platform = Platform(target, overlay, secrets.token_urlsafe(32), secrets.token_urlsafe(32))
    with knative_configured(), temporary_namespace(NAMESPACE):
        apply(*make_secrets(stores, platform.token, platform.ops_token))
        platform.apply()
        until(lambda: platform.get("front", "/health").status_code == 204, 60, "the ingress knows the front door")
        yield platform


def write_overlay(folder: Path, target: Target, images: Images) -> Path:
    """An overlay over `laptop`, as an operator would write one for another cluster."""
    below = Path(os.path.relpath(KNATIVE / "overlays" / "laptop", folder.resolve()))
    host = target.host("{service}", NAMESPACE)
    kustomization = {
        "resources": [str(below)],
        "configMapGenerator": [
            {
                "name": "bigpanda-mlflow",
                "namespace": NAMESPACE,
                "behavior": "merge",
                "literals": [
                    f"BIGPANDA_PAGE_URL=http://{host}",
                    f"BIGPANDA_MLFLOW_IMAGE={images.mlflow}",
                    *(f"BIGPANDA_ROLLOUT_{name}={value}" for name, value in ROLLOUT.items()),
                ],
            }
        ],
        "images": [
            {
                "name": f"dev.local/bigpanda-mlflow/{name}",
                "newName": image.partition("@")[0],
                "digest": image.partition("@")[2],
            }
            for name, image in (("functions", images.functions), ("mlflow", images.mlflow))
        ],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return folder


@contextlib.contextmanager
def knative_configured() -> Iterator[None]:
    """Knative as `components/knative-config` sets it; afterwards as it was, for the cluster has other users."""
    wanted = list(yaml.safe_load_all(_SETTINGS_OF_KNATIVE.read_text()))
    former = [_remembered(one) for one in wanted]
    try:
        apply(*wanted)
        yield
    finally:
        for namespace, name, data in former:
            patch = json.dumps({"data": data})
            kubectl("-n", namespace, "patch", "configmap", name, "--type=merge", "-p", patch)


def _remembered(wanted: Resource) -> tuple[str, str, dict[str, str | None]]:
    namespace, name = wanted["metadata"]["namespace"], wanted["metadata"]["name"]
    there = json.loads(kubectl("-n", namespace, "get", "configmap", name, "-o", "json")).get("data") or {}
    return namespace, name, {key: there.get(key) for key in wanted["data"]}
