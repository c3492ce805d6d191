"""The real cluster that the current kubeconfig names: how to reach it from here, and `kubectl` on it.

| variable | default | what |
|---|---|---|
| `KUBECONFIG` | as kubectl finds it | the cluster |
| `KNATIVE_DOMAIN` | the first of Knative's `config-domain` | Services are `<name>.<namespace>.<domain>` |
| `KNATIVE_INGRESS` | `http://<domain>` | where a browser outside reaches them |
| `REGISTRY` | `localhost:5001` | a registry that this machine pushes to and the cluster pulls from by the same name |

The defaults are those of `kn quickstart kind --registry`.
"""

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from support.need import lacking

Resource = dict[str, Any]


@dataclass(frozen=True)
class Target:
    """Where the cluster's parts are reached from this machine."""

    domain: str
    ingress: str
    registry: str

    def host(self, service: str, namespace: str) -> str:
        """The host name of a public Service, with the ingress's port where it is not the usual one."""
        port = urlsplit(self.ingress).port
        return f"{service}.{namespace}.{self.domain}" + (f":{port}" if port else "")

    @property
    def resolver_rule(self) -> str:
        """For Chromium: every host of the domain is the ingress, whatever DNS says."""
        return f"MAP *.{self.domain} {urlsplit(self.ingress).hostname}"


def find_target(environment: Mapping[str, str] = os.environ) -> Target:
    """The cluster of the current kubeconfig; without one the test skips, or fails in CI."""
    try:
        domains = json.loads(kubectl("-n", "knative-serving", "get", "configmap", "config-domain", "-o", "json"))
    except (OSError, subprocess.CalledProcessError) as error:
        lacking(
            f"no cluster with Knative: {getattr(error, 'stderr', None) or error}. make e2e needs a kubeconfig of one"
        )
    known = [name for name in domains.get("data", {}) if name != "_example"]
    domain = environment.get("KNATIVE_DOMAIN") or (known or ["svc.cluster.local"])[0]
    ingress = environment.get("KNATIVE_INGRESS") or f"http://{domain}"
    return Target(domain, ingress, environment.get("REGISTRY") or "localhost:5001")


def kubectl(*arguments: str, stdin: str | None = None) -> str:
    """What kubectl prints. Raises CalledProcessError with its words in `stderr`; FileNotFoundError without kubectl."""
    done = subprocess.run(["kubectl", *arguments], input=stdin, capture_output=True, text=True, check=True, timeout=300)
    return done.stdout


def apply(*objects: Resource) -> None:
    """Server-side apply, as a user of these tests."""
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    kubectl(
        "apply", "--server-side", "--force-conflicts", "--field-manager=bigpanda-mlflow-tests", "-f", "-", stdin=text
    )


@contextlib.contextmanager
def temporary_namespace(name: str) -> Iterator[None]:
    """A namespace of our own, gone afterwards with all in it; one that is there already is somebody's, and refused."""
    if kubectl("get", "namespace", name, "--ignore-not-found", "-o", "name"):
        lacking(f"the namespace {name} exists in this cluster: the tests make and delete it, so remove it first")
    apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    try:
        yield
    finally:
        kubectl("delete", "namespace", name, "--wait=false")
        # Knative's queue-proxy would have each of them wait for half a minute; nobody calls them any more.
        kubectl("-n", name, "delete", "pods", "--all", "--grace-period=0", "--force", "--wait=false")
        kubectl("wait", "--for=delete", f"namespace/{name}", "--timeout=240s")


@contextlib.contextmanager
def port_forwarded(namespace: str, target: str, port: int) -> Iterator[str]:
    """The address on loopback of a port inside the cluster, as long as the context lasts."""
    command = ["kubectl", "-n", namespace, "port-forward", target, f":{port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, process_group=0) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert line.startswith("Forwarding from"), f"kubectl port-forward said: {line!r}"
            yield f"http://{line.split()[2]}"
        finally:
            process.terminate()
