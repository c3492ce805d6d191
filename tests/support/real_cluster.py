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
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from kubernetes import client, config

from support.manifests import Resource
from support.need import lacking

SECONDS = 120.0
"""Within which a cluster is to do what it was asked for: only what never comes takes so long."""


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
    except (OSError, KubectlError) as error:
        lacking(f"no cluster with Knative: {error}. make e2e needs a kubeconfig of one")
    known = [name for name in domains.get("data", {}) if name != "_example"]
    domain = environment.get("KNATIVE_DOMAIN") or (known or ["svc.cluster.local"])[0]
    ingress = environment.get("KNATIVE_INGRESS") or f"http://{domain}"
    return Target(domain, ingress, environment.get("REGISTRY") or "localhost:5001")


class KubectlError(AssertionError):
    """kubectl failed; the message is its own."""


def kubectl(*arguments: str, stdin: str | None = None) -> str:
    """What kubectl prints. Raises KubectlError, and FileNotFoundError without kubectl."""
    command = ["kubectl", *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode != 0:
        raise KubectlError(f"kubectl {' '.join(arguments)}: {done.stderr}")
    return done.stdout


def apply(*objects: Resource) -> None:
    """Server-side apply, as `make deploy` does."""
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    kubectl("apply", "--server-side", "--force-conflicts", "--field-manager=bigpanda-mlflow", "-f", "-", stdin=text)


def connect(account: str | None = None) -> client.ApiClient:
    """A client of the kubeconfig's cluster: as its user, or on behalf of a ServiceAccount `<namespace>:<name>`."""
    api = config.new_client_from_config(os.environ.get("KUBECONFIG"))
    if account is not None:
        api.set_default_header("Impersonate-User", f"system:serviceaccount:{account}")
    return api


def disconnect(api: client.ApiClient) -> None:
    """Lets go of all its connections."""
    api.rest_client.pool_manager.clear()
    api.close()


def moved(objects: Collection[Resource], namespace: str, kinds: Collection[str]) -> list[Resource]:
    """The rendered `objects` of these kinds, as they would be in another namespace than `bigpanda`."""
    found = []
    for one in objects:
        if one["kind"] in kinds:
            text = json.dumps(one).replace('"namespace": "bigpanda"', f'"namespace": "{namespace}"')
            text = text.replace(":bigpanda:", f":{namespace}:").replace("/bigpanda/", f"/{namespace}/")
            changed = json.loads(text)
            if one["kind"] == "Namespace":
                changed["metadata"]["name"] = namespace
            found.append(changed)
    return found


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
