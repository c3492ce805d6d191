"""What people see: the columns that kubectl prints, and apply, get, wait and delete with the real kubectl."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from contract.kit import BROKERS, Home
from support.need import lacking

HEADERS = {
    "ksvc": ["NAME", "URL", "LATESTCREATED", "LATESTREADY", "READY", "REASON"],
    "configuration": ["NAME", "LATESTCREATED", "LATESTREADY", "READY", "REASON"],
    "revision": ["NAME", "CONFIG NAME", "GENERATION", "READY", "REASON", "ACTUAL REPLICAS", "DESIRED REPLICAS"],
    "route": ["NAME", "URL", "READY", "REASON"],
    "broker": ["NAME", "URL", "AGE", "READY", "REASON"],
    "trigger": ["NAME", "BROKER", "SUBSCRIBER_URI", "AGE", "READY", "REASON"],
    "pingsource": ["NAME", "SINK", "SCHEDULE", "AGE", "READY", "REASON"],
    "configmap": ["NAME", "DATA", "AGE"],
    "secret": ["NAME", "TYPE", "DATA", "AGE"],
    "pod": ["NAME", "READY", "STATUS", "RESTARTS", "AGE"],
    "event": ["LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"],
    "lease": ["NAME", "HOLDER", "AGE"],
}
EVERYWHERE = {
    "broker": "brokers.eventing.knative.dev",
    "trigger": "triggers.eventing.knative.dev",
    "pingsource": "pingsources.sources.knative.dev",
}


def kubectl(home: Home, cache: Path, *arguments: str, stdin: str = "") -> str:
    """kubectl in the test's namespace."""
    command = shutil.which("kubectl")
    if command is None:
        lacking("kubectl is not on PATH")
    environment = {"PATH": os.environ["PATH"], "HOME": str(cache), "KUBECONFIG": str(home.cluster.access.kubeconfig)}
    done = subprocess.run(
        [command, "--namespace", home.namespace, *arguments],
        input=stdin, env=environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("resource", HEADERS)
def test_columns(home: Home, resource: str) -> None:
    """The columns of the Table that kubectl prints, by priority; its own printing is the same for every server."""
    group = {"ksvc": "serving", "configuration": "serving", "revision": "serving", "route": "serving"}.get(resource)
    plural = {"ksvc": "services"}.get(resource, f"{resource}s")
    if group or resource in EVERYWHERE:
        domain = f"{group}.knative.dev" if group else EVERYWHERE[resource].partition(".")[2]
        path = f"/apis/{domain}/v1/{plural}"
    else:
        path = f"/apis/coordination.k8s.io/v1/{plural}" if resource == "lease" else f"/api/v1/{plural}"
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
    table = home.cluster.api.get(home.path(path), headers={"accept": accept}).json()
    columns = [one["name"].upper() for one in table["columnDefinitions"] if one["priority"] == 0]
    assert (table["kind"], columns) == ("Table", HEADERS[resource])


def test_apply_wait_get_delete(home: Home, tmp_path: Path) -> None:
    manifest = json.dumps(home.make_service("applied"))
    said = kubectl(home, tmp_path, "apply", "-f", "-", stdin=manifest)
    assert said == "service.serving.knative.dev/applied created\n"
    said = kubectl(home, tmp_path, "apply", "-f", "-", stdin=manifest)
    assert said.startswith("service.serving.knative.dev/applied ")
    said = kubectl(home, tmp_path, "wait", "--for=condition=Ready", "ksvc/applied", "--timeout=60s")
    assert said == "service.serving.knative.dev/applied condition met\n"
    header, row = kubectl(home, tmp_path, "get", "ksvc").splitlines()
    assert header.split() == HEADERS["ksvc"]
    host = f"http://applied.{home.namespace}.{home.cluster.access.domain}"
    assert row.split() == ["applied", host, "applied-00001", "applied-00001", "True"]
    generation = kubectl(home, tmp_path, "get", "ksvc", "applied", "-o", "jsonpath={.metadata.generation}")
    assert generation == "1"
    said = kubectl(home, tmp_path, "delete", "ksvc", "applied")
    assert said.startswith('service.serving.knative.dev "applied" deleted')


def test_short_names_and_categories(home: Home, tmp_path: Path) -> None:
    home.serve("seen")
    home.create(BROKERS, {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "metadata": {"name": "default"}})
    for name in ("ksvc", "kservice", "services.serving.knative.dev"):
        assert kubectl(home, tmp_path, "get", name, "-o", "name") == "service.serving.knative.dev/seen\n"
    found = kubectl(home, tmp_path, "get", "knative", "-o", "name").split()
    assert {"service.serving.knative.dev/seen", "broker.eventing.knative.dev/default"} <= set(found)
    found = kubectl(home, tmp_path, "get", "cfg,rev,rt", "-o", "name").split()
    assert found == [
        "configuration.serving.knative.dev/seen",
        "revision.serving.knative.dev/seen-00001",
        "route.serving.knative.dev/seen",
    ]
