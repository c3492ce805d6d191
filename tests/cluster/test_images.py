"""Both images as Pods: no root, nothing writable but /tmp, any user id, and what their Containerfile promises."""

import json
from typing import Any

import pytest

from bigpanda_laptop.deploy import NAMESPACE
from support.laptop import until
from support.real_cluster import apply, kubectl
from support.real_platform import Images, Platform

TASK = "task-30456789"
SOME_USER = 1_000_680_000
"""As OKD's restricted-v2 gives one out of a namespace's range."""
LOOK = """
import json, os, pathlib
def writable(folder):
    try: (pathlib.Path(folder) / "probe").write_text("x")
    except OSError: return False
    return True
owned = [folder for folder in ("/", "/opt/bigpanda", "/srv/functions", "/var", "/usr/bin", "/tmp") if writable(folder)]
print(json.dumps({"user": os.getuid(), "group": os.getgid(), "writable": owned}))
"""


def look_inside(pod: str, container: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        kubectl("-n", NAMESPACE, "exec", pod, "-c", container, "--", "python", "-c", LOOK)
    )
    return found


@pytest.fixture(scope="module")
def page(platform: Platform) -> str:
    """A Pod of the page, awake."""
    platform.send("wait=60", lifetime="P1D").raise_for_status()
    until(lambda: platform.get(TASK, "/ready").status_code == 200, 120, "the page is there")
    return platform.pods(TASK)[0]


def test_the_functions_run_without_root_on_a_read_only_file_system(platform: Platform) -> None:
    (pod,) = platform.pods("front")[:1]
    assert look_inside(pod, "front") == {"user": 65532, "group": 0, "writable": ["/tmp"]}


def test_a_page_runs_without_root_on_a_read_only_file_system(page: str) -> None:
    assert look_inside(page, "mlflow") == {"user": 65532, "group": 0, "writable": ["/tmp"]}


@pytest.mark.parametrize("service", ["front", "ingest", TASK])
def test_any_user_id_will_do(platform: Platform, page: str, images: Images, service: str) -> None:
    original = platform.service(service)
    assert original is not None
    spec = original["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    context = {**container["securityContext"], "runAsUser": SOME_USER}
    name = f"any-user-{'page' if service == TASK else service}"
    copy = {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"template": {"spec": {**spec, "containers": [{**container, "securityContext": context}]}}},
    }
    apply(copy)
    try:
        kubectl("-n", NAMESPACE, "wait", f"ksvc/{name}", "--for=condition=Ready", "--timeout=120s")
        (pod,) = platform.pods(name)
        assert look_inside(pod, container["name"]) == {"user": SOME_USER, "group": 0, "writable": ["/tmp"]}
    finally:
        kubectl("-n", NAMESPACE, "delete", "ksvc", name, "--wait=false")
