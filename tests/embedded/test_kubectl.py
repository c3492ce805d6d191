"""The real kubectl and the real Python client, against the real runtime: they must not notice a difference."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import kubernetes
import pytest
import yaml

from embedded.kit import Cluster, make_service
from support.need import lacking

ASLEEP = {"autoscaling.knative.dev/initial-scale": "0"}


class Kubectl:
    """kubectl with the runtime's kubeconfig."""

    def __init__(self, cluster: Cluster, home: Path) -> None:
        found = shutil.which("kubectl")
        if found is None:
            lacking("kubectl is not on PATH")
        self._command = found
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "KUBECONFIG": cluster.endpoints["kubeconfig"],
            "KUBE_EDITOR": "sed -i s/first/second/",
        }

    def __call__(self, *arguments: str, stdin: str = "") -> str:
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr
        assert done.stderr in {"", "No resources found\n"}
        return done.stdout

    def run(self, *arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [self._command, *arguments],
            input=stdin, env=self._environment, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip


@pytest.fixture(scope="module")
def kubectl(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    return Kubectl(cluster, tmp_path_factory.mktemp("home"))


def test_apply_get_describe_edit_delete(kubectl: Kubectl) -> None:
    manifest = yaml.safe_dump(make_service("applied", annotations=ASLEEP, env={"WORD": "first"}))
    assert kubectl("apply", "-f", "-", stdin=manifest) == "service.serving.knative.dev/applied created\n"
    kubectl("apply", "-f", "-", stdin=manifest)
    assert kubectl("get", "ksvc", "applied", "-o", "jsonpath={.metadata.generation}") == "1"
    kubectl("wait", "--for=condition=Ready", "ksvc/applied", "--timeout=30s")
    header, row = kubectl("get", "ksvc", "applied").splitlines()
    assert header.split() == ["NAME", "URL", "LATESTCREATED", "LATESTREADY", "READY", "REASON"]
    assert row.split()[0] == "applied"
    assert row.split()[2:] == ["applied-00001", "applied-00001", "True"]
    described = kubectl("describe", "ksvc", "applied")
    assert ["Latest", "Ready", "Revision", "Name:", "applied-00001"] in [
        line.split() for line in described.splitlines()
    ]
    assert "edited" in kubectl("edit", "ksvc", "applied")
    assert kubectl("get", "ksvc", "applied", "-o", "jsonpath={..env[0].value}") == "second"
    assert "applied-00002" in kubectl("get", "revisions", "-l", "serving.knative.dev/service=applied")
    patched = kubectl("patch", "ksvc", "applied", "--type=json", "-p", '[{"op":"remove","path":"/spec/traffic"}]')
    assert patched == "service.serving.knative.dev/applied patched (no change)\n"
    kubectl("label", "ksvc", "applied", "colour=blue")
    assert kubectl("get", "ksvc", "-l", "colour in (blue)", "-o", "name") == "service.serving.knative.dev/applied\n"
    kubectl("delete", "ksvc", "applied", "--timeout=30s")
    assert "NotFound" in kubectl.run("get", "ksvc", "applied").stderr


def test_what_is_awake_and_what_it_says(kubectl: Kubectl, cluster: Cluster) -> None:
    cluster.serve("seen")
    cluster.fetch("seen", "/spoken")
    header, row = kubectl("get", "pods", "-l", "serving.knative.dev/service=seen").splitlines()
    assert header.split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert row.split()[1:4] == ["1/1", "Running", "0"]
    assert "GET /spoken" in kubectl("logs", row.split()[0])
    assert "GET /spoken" in kubectl("logs", "-l", "serving.knative.dev/service=seen", "--tail=1")


def test_core_objects(kubectl: Kubectl) -> None:
    assert kubectl("create", "configmap", "settings", "--from-literal=a=1") == "configmap/settings created\n"
    manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings2}\ndata: {a: '%s'}\n"
    kubectl("apply", "-f", "-", stdin=manifest % 1)
    assert kubectl("apply", "-f", "-", stdin=manifest % 2) == "configmap/settings2 configured\n"
    assert kubectl("get", "cm", "settings2", "-o", "jsonpath={.data.a}") == "2"
    kubectl("create", "secret", "generic", "password", "--from-literal=p=x")
    assert "Opaque" in kubectl("get", "secrets")
    kubectl("create", "namespace", "other")
    assert "other" in kubectl("get", "ns")
    kubectl("delete", "ns", "other", "--timeout=30s")
    kubectl("delete", "configmap", "--all")
    for resource in ("ksvc", "rev", "cfg", "rt", "brokers", "triggers", "pingsources", "leases", "events", "pods"):
        kubectl("get", resource, "-A")
    assert "ksvc" in kubectl("api-resources")


def test_refusals_read_as_on_a_cluster(kubectl: Kubectl) -> None:
    bad = make_service("bad", spec={"timeoutSeconds": 601})
    refused = kubectl.run("apply", "-f", "-", stdin=yaml.safe_dump(bad))
    assert refused.returncode == 1
    assert (
        'admission webhook "validation.webhook.serving.knative.dev" denied the request: '
        "validation failed: expected 0 <= 601 <= 600: spec.template.spec.timeoutSeconds"
    ) in refused.stderr


@pytest.fixture
def client(cluster: Cluster) -> Iterator[kubernetes.client.ApiClient]:
    with kubernetes.config.new_client_from_config(cluster.endpoints["kubeconfig"]) as made:
        yield made


def test_the_python_client(client: kubernetes.client.ApiClient) -> None:
    api = kubernetes.client.CustomObjectsApi(client)
    where = {"group": "serving.knative.dev", "version": "v1", "namespace": "default", "plural": "services"}
    made = api.create_namespaced_custom_object(**where, body=make_service("python", annotations=ASLEEP))
    assert made["metadata"]["generation"] == 1
    watch = kubernetes.watch.Watch()
    for event in watch.stream(
        api.list_namespaced_custom_object, **where, field_selector="metadata.name=python", timeout_seconds=30
    ):
        conditions = event["object"].get("status", {}).get("conditions", [])
        if any(one["type"] == "Ready" and one["status"] == "True" for one in conditions):
            watch.stop()
    patch = {"metadata": {"labels": {"by": "python"}}}
    assert api.patch_namespaced_custom_object(**where, name="python", body=patch)["metadata"]["labels"] == {
        "by": "python"
    }
    with pytest.raises(kubernetes.client.ApiException) as taken:
        api.create_namespaced_custom_object(**where, body=make_service("python"))
    assert (taken.value.status, taken.value.reason) == (409, "Conflict")
    listed = api.list_namespaced_custom_object(**where, label_selector="by=python")
    assert [one["metadata"]["name"] for one in listed["items"]] == ["python"]
    api.delete_namespaced_custom_object(**where, name="python")


def test_python_core_and_leases(client: kubernetes.client.ApiClient) -> None:
    core = kubernetes.client.CoreV1Api(client)
    body = kubernetes.client.V1ConfigMap(metadata=kubernetes.client.V1ObjectMeta(name="typed"), data={"a": "1"})
    core.create_namespaced_config_map("default", body)
    found = core.read_namespaced_config_map("typed", "default")
    found.data = {"a": "2"}
    assert core.replace_namespaced_config_map("typed", "default", found).data == {"a": "2"}
    with pytest.raises(kubernetes.client.ApiException) as stale:
        core.replace_namespaced_config_map("typed", "default", found)
    assert stale.value.status == 409
    leases = kubernetes.client.CoordinationV1Api(client)
    lease = kubernetes.client.V1Lease(
        metadata=kubernetes.client.V1ObjectMeta(name="lock"), spec=kubernetes.client.V1LeaseSpec(holder_identity="me")
    )
    assert leases.create_namespaced_lease("default", lease).spec.holder_identity == "me"
    assert core.list_namespaced_pod("default").kind == "PodList"
