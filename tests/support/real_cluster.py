"""A real cluster, as the tests reach it: by KUBECONFIG, each in namespaces of its own."""

import json
import os
import subprocess
from collections.abc import Collection

from kubernetes import client, config

from support.manifests import Resource
from support.need import lacking

SECONDS = 120.0
"""Within which a cluster is to do what it was asked for: only what never comes takes so long."""


def connect(account: str | None = None) -> client.ApiClient:
    """A client of the kubeconfig's cluster: as its user, or on behalf of a ServiceAccount `<namespace>:<name>`."""
    if "KNATIVE_INGRESS" not in os.environ:
        lacking(
            "no cluster: tests/cluster needs KUBECONFIG and KNATIVE_INGRESS of one with Knative Serving and Eventing"
        )
    api = config.new_client_from_config(os.environ.get("KUBECONFIG"))
    if account is not None:
        api.set_default_header("Impersonate-User", f"system:serviceaccount:{account}")
    return api


def disconnect(api: client.ApiClient) -> None:
    api.rest_client.pool_manager.clear()
    api.close()


def apply(objects: list[Resource]) -> None:
    """As `make deploy` does."""
    bundle = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    command = ["kubectl", "apply", "--server-side", "--force-conflicts", "--field-manager=bigpanda-mlflow", "-f", "-"]
    done = subprocess.run(command, input=bundle, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


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
