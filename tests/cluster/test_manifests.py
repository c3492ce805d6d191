"""Every overlay as the cluster's own API sees it: a server-side dry run, with the strict schemas of its CRDs and its
webhooks. Kinds that this cluster does not have (Kafka's, cert-manager's, the operator's) are for tests/manifests.
"""

import json
from collections.abc import Iterator

import pytest

from support.manifests import PLATFORMS, overlay
from support.real_cluster import KubectlError, Target, kubectl, moved, temporary_namespace

SPACE = "bigpanda-mlflow-dry-run"
CORE = {"Service", "Broker", "Trigger", "PingSource", "Role", "RoleBinding", "ServiceAccount", "ConfigMap"}


@pytest.fixture(scope="module")
def kinds(target: Target) -> Iterator[set[tuple[str, str]]]:
    """(API version, kind) of all that the cluster serves; the dry run's namespace stands meanwhile."""
    lines = kubectl("api-resources", "--no-headers").splitlines()
    with temporary_namespace(SPACE):
        yield {(line.split()[-3], line.split()[-1]) for line in lines}


@pytest.mark.parametrize("name", PLATFORMS)
def test_the_cluster_takes_every_object_of_the_overlay(kinds: set[tuple[str, str]], name: str) -> None:
    # In another namespace: where it stands already, some changes of it would be refused.
    served = [one for one in overlay(name) if (one["apiVersion"], one["kind"]) in kinds]
    known = moved(served, SPACE, {one["kind"] for one in served} - {"Namespace"})
    assert {one["kind"] for one in known} >= CORE
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": known})
    manager = "--field-manager=bigpanda-mlflow-tests"
    options = ("--server-side", "--force-conflicts", manager, "--dry-run=server", "--validate=strict")
    taken = kubectl("apply", *options, "-f", "-", stdin=text).splitlines()
    assert len(taken) == len(known)


def test_a_misspelt_field_is_refused(kinds: set[tuple[str, str]]) -> None:
    """The dry run is as strict as it claims."""
    broker = {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "metadata": {"name": "x", "namespace": SPACE}}
    text = json.dumps({**broker, "spec": {"delivery": {"retries": 1}}})
    with pytest.raises(KubectlError, match="retries"):
        kubectl("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-", stdin=text)
