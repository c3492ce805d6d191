"""Puts the platform's manifests, and a laptop's own settings, into a cluster: `kubectl apply` without kubectl.

Applying again changes nothing that is the same, so a second run finds its functions and pages as they were.
"""

import secrets
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client, config, dynamic

NAMESPACE = "bigpanda"
SNAPSHOTS = "snapshots"
METRICS = "panda"
_READY_SECONDS = 90.0
Resource = dict[str, Any]


class NotReadyError(RuntimeError):
    """A function did not become ready; the message says which, and Knative's reason."""


class Deployment:
    """The objects of the platform in one cluster."""

    def __init__(self, kubeconfig: Path) -> None:
        api = config.new_client_from_config(str(kubeconfig))
        self._client = dynamic.DynamicClient(api)

    def apply(self, resource: Resource) -> None:
        """Creates the object, or merges it into the one that stands."""
        kind = self._client.resources.get(api_version=resource["apiVersion"], kind=resource["kind"])
        namespace = resource["metadata"].get("namespace")
        try:
            kind.create(body=resource, namespace=namespace)
        except client.ApiException as error:
            if error.status != 409:
                raise
            kind.patch(
                body=resource,
                name=resource["metadata"]["name"],
                namespace=namespace,
                content_type="application/merge-patch+json",
            )

    def objects(self, api_version: str, kind: str) -> list[Resource]:
        """The namespace's objects of a kind."""
        found = self._client.resources.get(api_version=api_version, kind=kind).get(namespace=NAMESPACE)
        items: list[Resource] = found.to_dict()["items"]
        return items

    def services(self) -> list[Resource]:
        """All Knative Services of the namespace."""
        return self.objects("serving.knative.dev/v1", "Service")

    def wait_until_ready(self) -> None:
        """Until every function is ready. Raises NotReadyError."""
        deadline = time.monotonic() + _READY_SECONDS
        while waiting := {name: why for name, ready, why in map(read_ready, self.services()) if not ready}:
            if time.monotonic() > deadline:
                raise NotReadyError("; ".join(f"{name}: {why}" for name, why in waiting.items()))
            time.sleep(0.1)


def deploy(deployment: Deployment, manifests: Iterator[Resource], settings: Iterable[Resource]) -> None:
    """The platform, until every function is ready; the namespace comes first, which the settings live in.

    Raises NotReadyError.
    """
    deployment.apply(next(manifests))
    for resource in (*settings, *manifests):
        deployment.apply(resource)
    deployment.wait_until_ready()


def read_ready(service: Resource) -> tuple[str, bool, str]:
    """A Service's name, whether it is ready, and if not why."""
    for condition in service.get("status", {}).get("conditions", []):
        if condition["type"] == "Ready":
            why = condition.get("message") or condition.get("reason") or "in progress"
            return service["metadata"]["name"], condition["status"] == "True", why
    return service["metadata"]["name"], False, "Knative has not looked at it yet"


def read_manifests(folder: Path) -> Iterator[Resource]:
    """The objects of a kustomization without patches, in its order."""
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    for name in kustomization["resources"]:
        yield from yaml.safe_load_all((folder / name).read_text())


def make_settings(ingress: str, internal: str, idle_window: str) -> Resource:
    """The ConfigMap of a laptop: data in the local S3, pages under `.localhost`, a short idle window."""
    port = ingress.rsplit(":", 1)[1]
    data = {
        "BIGPANDA_NAMESPACE": NAMESPACE,
        "BIGPANDA_MLFLOW_IMAGE": "bigpanda-mlflow/mlflow",
        "BIGPANDA_PAGE_URL": f"http://{{service}}.{NAMESPACE}.localhost:{port}",
        "BIGPANDA_SNAPSHOT_STORE": f"s3://{SNAPSHOTS}",
        "BIGPANDA_ARTIFACT_STORES": f"s3://{METRICS}",
        "BIGPANDA_IDLE_WINDOW": idle_window,
        "K_SINK": f"{internal}/{NAMESPACE}/default",
        "BIGPANDA_GATEWAY": internal,
    }
    return _make("ConfigMap", "bigpanda-mlflow", {"data": data})


def make_secrets(environment: dict[str, str], front_token: str, ops_token: str) -> list[Resource]:
    """The credentials of the local S3, on a laptop the same for all who use it, and the front door's tokens."""
    contents = {
        "bigpanda-mlflow-stores": environment,
        "bigpanda-mlflow-page": environment,
        "bigpanda-mlflow-retention": environment,
        "bigpanda-mlflow-front": {"BIGPANDA_FRONT_TOKENS": front_token},
        "bigpanda-mlflow-ops": {"BIGPANDA_OPS_TOKENS": ops_token},
    }
    return [_make("Secret", name, {"type": "Opaque", "stringData": data}) for name, data in contents.items()]


def keep_token(path: Path) -> str:
    """A bearer token for the front door, made at the first run and kept in a file that only its owner reads."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(32))
    return path.read_text()


def _make(kind: str, name: str, content: Resource) -> Resource:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": NAMESPACE}, **content}
