"""What the contract suite shares: a cluster, be it embedded or real, and a test's own namespace in it.

Promise: nothing here knows which of the two it talks to, but for how it is reached. `normal` takes out of an object
what is another one at every run, so that the rest can be compared as a whole.
"""

import dataclasses
import json
import re
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import httpx
import kubernetes

Found = TypeVar("Found")
Object = dict[str, Any]
PATIENCE = 180.0

SERVICES = "/apis/serving.knative.dev/v1/services"
CONFIGURATIONS = "/apis/serving.knative.dev/v1/configurations"
REVISIONS = "/apis/serving.knative.dev/v1/revisions"
ROUTES = "/apis/serving.knative.dev/v1/routes"
BROKERS = "/apis/eventing.knative.dev/v1/brokers"
TRIGGERS = "/apis/eventing.knative.dev/v1/triggers"
PING_SOURCES = "/apis/sources.knative.dev/v1/pingsources"
CONFIG_MAPS = "/api/v1/configmaps"
PODS = "/api/v1/pods"

MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"

SCALING = "autoscaling.knative.dev"
ASLEEP = {f"{SCALING}/initial-scale": "0"}
BRIEF = {f"{SCALING}/window": "6s", f"{SCALING}/scale-to-zero-pod-retention-period": "0s"}

_UUID = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_DROPPED = {"resourceVersion", "managedFields", "finalizers"}
_OMITTED: tuple[tuple[str, Any], ...] = (
    ("creationTimestamp", None),
    ("annotations", {}),
    ("labels", {}),
)
"""Absent and empty say the same: releases of Knative differ in which of the two they write."""
_USERS = ("/creator", "/lastModifier")

RECEIVER = Path(__file__).with_name("receiver.py").read_text(encoding="utf-8")
SERVE = ["python3", "-c", RECEIVER]
"""What every container of the suite runs."""


@dataclasses.dataclass(frozen=True)
class Access:
    """How one cluster is reached, and what can be served on it."""

    kubeconfig: Path
    ingress: str
    domain: str
    """Without scheme; with the port that URLs carry, if any."""
    image: str
    """An image with `python3` on its PATH."""


class Cluster:
    """An API server and an ingress."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self.api = _open_api(access.kubeconfig)
        self.web = httpx.Client(base_url=access.ingress, timeout=PATIENCE, trust_env=False)

    def close(self) -> None:
        """Let go of all connections."""
        self.api.close()
        self.web.close()


def _open_api(kubeconfig: Path) -> httpx.Client:
    """A plain HTTP client with the credentials of a kubeconfig, whatever their kind."""
    said = kubernetes.client.Configuration()
    kubernetes.config.load_kube_config(str(kubeconfig), client_configuration=said)
    context = ssl.create_default_context(cafile=said.ssl_ca_cert)
    if said.cert_file:
        context.load_cert_chain(said.cert_file, said.key_file)
    headers = {one["key"]: one["value"] for one in said.auth_settings().values() if one["in"] == "header"}
    return httpx.Client(base_url=said.host, verify=context, headers=headers, timeout=60, trust_env=False)


class Home:
    """A namespace of a test's own, and the verbs of the API in it."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        made = cluster.api.post("/api/v1/namespaces", json={"metadata": {"generateName": "contract-"}})
        assert made.status_code == 201, made.text
        self.namespace = str(made.json()["metadata"]["name"])

    def close(self) -> None:
        """Remove the namespace and all that is in it."""
        self.cluster.api.delete(f"/api/v1/namespaces/{self.namespace}")

    def path(self, collection: str, name: str = "") -> str:
        """The path of a collection in this namespace, or of one object of it."""
        head, _, plural = collection.rpartition("/")
        return f"{head}/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    def try_create(self, collection: str, body: Object, **query: str) -> httpx.Response:
        """POST, whatever comes of it."""
        return self.cluster.api.post(self.path(collection), json=body, params=query)

    def create(self, collection: str, body: Object) -> Object:
        """POST an object that will be taken."""
        return answered(self.try_create(collection, body), 201)

    def get(self, collection: str, name: str = "", **query: str) -> Object:
        """GET an object or a list."""
        return answered(self.cluster.api.get(self.path(collection, name), params=query), 200)

    def put(self, collection: str, body: Object) -> httpx.Response:
        """PUT, whatever comes of it."""
        return self.cluster.api.put(self.path(collection, body["metadata"]["name"]), json=body)

    def patch(self, collection: str, name: str, body: Any, kind: str = MERGE) -> httpx.Response:
        """PATCH, whatever comes of it."""
        headers = {"content-type": kind}
        return self.cluster.api.patch(self.path(collection, name), content=json.dumps(body), headers=headers)

    def delete(self, collection: str, name: str, options: Object | None = None) -> httpx.Response:
        """DELETE, whatever comes of it."""
        return self.cluster.api.request("DELETE", self.path(collection, name), json=options)

    def names(self, collection: str, **query: str) -> list[str]:
        """The names in a list."""
        return [one["metadata"]["name"] for one in self.get(collection, **query)["items"]]

    def watch(self, collection: str, **query: str) -> Iterator[Object]:
        """The events of a watch, as they come."""
        params = {"watch": "true", "timeoutSeconds": "60", **query}
        with self.cluster.api.stream("GET", self.path(collection), params=params) as answer:
            assert answer.status_code == 200
            for line in answer.iter_lines():
                yield json.loads(line)

    def await_condition(self, collection: str, name: str, kind: str, *statuses: str) -> Object:
        """The object as soon as its present generation has that condition with one of these statuses."""

        def look() -> Object | None:
            thing = self.get(collection, name)
            settled = thing.get("status", {}).get("observedGeneration") == thing["metadata"]["generation"]
            return thing if settled and condition(thing, kind).get("status") in statuses else None

        return eventually(look)

    def await_ready(self, collection: str, name: str) -> Object:
        """The object once it is ready."""
        return self.await_condition(collection, name, "Ready", "True")

    def serve(self, name: str, **options: Any) -> Object:
        """A new Service, ready."""
        self.create(SERVICES, self.make_service(name, **options))
        return self.await_ready(SERVICES, name)

    def make_service(
        self,
        name: str,
        *,
        annotations: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        container: Mapping[str, Any] | None = None,
        spec: Mapping[str, Any] | None = None,
    ) -> Object:
        """A Service with what a test varies; asleep from the start where nothing else is said."""
        one = {"image": self.cluster.access.image, "command": SERVE, **(container or {})}
        template = {
            "metadata": {"annotations": dict(ASLEEP if annotations is None else annotations)},
            "spec": {"containers": [one], **(spec or {})},
        }
        metadata: Object = {"name": name} | ({"labels": dict(labels)} if labels else {})
        return {
            "apiVersion": "serving.knative.dev/v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"template": template},
        }

    def fetch(self, name: str, path: str = "/", method: str = "GET", **options: Any) -> httpx.Response:
        """A request through the ingress."""
        host = {"host": f"{name}.{self.namespace}.{self.cluster.access.domain}"}
        return self.cluster.web.request(method, path, headers=host | options.pop("headers", {}), **options)

    def normal(self, thing: Any) -> Any:
        """The same without what differs from run to run and from place to place."""
        if isinstance(thing, dict):
            kept = {
                key: "USER" if key.endswith(_USERS) else self.normal(value)
                for key, value in thing.items()
                if key not in _DROPPED and (key, value) not in _OMITTED
            }
            if isinstance(kept.get("imageDigest"), str):
                kept["imageDigest"] = "IMAGE"
            return kept
        if isinstance(thing, list):
            return [self.normal(one) for one in thing]
        if not isinstance(thing, str):
            return thing
        text = thing.replace(RECEIVER, "RECEIVER").replace(self.cluster.access.image, "IMAGE")
        text = text.replace(self.namespace, "NAMESPACE").replace(self.cluster.access.domain, "DOMAIN")
        return _TIME.sub("TIME", _UUID.sub("UID", text))


def answered(answer: httpx.Response, status: int) -> Object:
    """The body of an answer with that status."""
    assert answer.status_code == status, answer.text
    body: Object = answer.json()
    return body


def failure(answer: httpx.Response) -> tuple[int, str, str]:
    """Code, reason and message of a refusal, which is a metav1.Status."""
    body = answer.json()
    assert (body["kind"], body["status"], body["code"]) == ("Status", "Failure", answer.status_code), body
    return answer.status_code, body.get("reason", ""), body["message"]


def condition(thing: Object, kind: str) -> Object:
    """The condition of that type without its time; empty when there is none."""
    for one in thing.get("status", {}).get("conditions") or []:
        if one["type"] == kind:
            return {key: value for key, value in one.items() if key != "lastTransitionTime"}
    return {}


def eventually(look: Callable[[], Found | None]) -> Found:
    """What `look` finds, as soon as it finds something true."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError(f"nothing within {PATIENCE} s")


def make_config_map(name: str, **labels: str) -> dict[str, Any]:
    metadata = {"name": name, "labels": labels}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "1"}}
