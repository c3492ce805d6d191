"""What the tests of the embedded Knative share: starting one, talking to it, and the images it runs."""

import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import httpx
import yaml

Found = TypeVar("Found")
PATIENCE = 30.0

ECHO = Path(__file__).with_name("echo.py")
RECEIVER = Path(__file__).with_name("receiver.py")


def write_images(root: Path) -> Path:
    """The image file with `test/echo` and `test/receiver`."""
    shutil.copy(ECHO, root)
    path = root / "images.toml"
    path.write_text(
        f"""
["test/echo"]
entrypoint = ["{sys.executable}", "echo.py"]
cmd = ["from-image"]
workdir = "."
env = {{ FROM_IMAGE = "yes", SHADOWED = "image" }}

["test/receiver"]
entrypoint = ["{sys.executable}", "{RECEIVER}"]
env = {{ RECEIVED = "{root / "received.jsonl"}" }}
"""
    )
    return path


class Cluster:
    """A runtime in its own process."""

    def __init__(self, state: Path, images: Path) -> None:
        self.state, self.images = state, images
        command = [sys.executable, "-m", "knative_embedded", "--state", str(state), "--images", str(images)]
        command += ["--ingress-port", "0", "--internal-port", "0", "--api-port", "0"]
        self._log = (images.parent / "runtime.log").open("ab")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._log, text=True)
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        assert said.startswith("ready"), (images.parent / "runtime.log").read_text()
        self.endpoints = json.loads((state / "endpoints.json").read_text())
        self.kubeconfig = yaml.safe_load((state / "kubeconfig").read_text())
        token = self.kubeconfig["users"][0]["user"]["token"]
        authority = str(state / "tls" / "ca.pem")
        context = ssl.create_default_context(cafile=authority)
        self.context = context
        self.api = httpx.Client(
            base_url=self.endpoints["api"], verify=context, headers={"authorization": f"Bearer {token}"}, timeout=60
        )
        self.web = httpx.Client(base_url=self.endpoints["ingress"], timeout=60, trust_env=False)
        self.internal = httpx.Client(base_url=self.endpoints["internal"], timeout=60, trust_env=False)

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End the runtime, gently or not."""
        for client in (self.api, self.web, self.internal):
            client.close()
        if self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(60)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._log.close()

    @property
    def received(self) -> list[dict[str, Any]]:
        """What `test/receiver` got, in order."""
        path = self.images.parent / "received.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """POST an object; its collection's path comes first."""
        answer = self.api.post(path, json=body)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def get(self, path: str) -> dict[str, Any]:
        """GET an object or a list."""
        answer = self.api.get(path)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def serve(self, name: str, **options: Any) -> dict[str, Any]:
        """Create a Service and wait until it is ready."""
        self.create(services(), make_service(name, **options))
        return eventually(lambda: ready(self.get(f"{services()}/{name}")))

    def fetch(self, name: str, path: str = "/", **options: Any) -> httpx.Response:
        """A request to a Service through the ingress."""
        headers = {"host": f"{name}.default.localhost", **options.pop("headers", {})}
        return self.web.request(options.pop("method", "GET"), path, headers=headers, **options)

    def pods(self, name: str) -> list[dict[str, Any]]:
        """The pods of a Service."""
        selector = f"serving.knative.dev/service={name}"
        answer = self.api.get("/api/v1/namespaces/default/pods", params={"labelSelector": selector})
        found: list[dict[str, Any]] = answer.json()["items"]
        return found


def services(namespace: str = "default") -> str:
    """The path of a namespace's Services."""
    return f"/apis/serving.knative.dev/v1/namespaces/{namespace}/services"


def eventing(plural: str, namespace: str = "default") -> str:
    """The path of a namespace's Brokers or Triggers."""
    return f"/apis/eventing.knative.dev/v1/namespaces/{namespace}/{plural}"


def make_service(
    name: str,
    *,
    image: str = "ghcr.io/x/test/echo@sha256:" + "0" * 64,
    annotations: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    spec: Mapping[str, Any] | None = None,
    container: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A Service with what a test varies."""
    variables = [{"name": key, "value": value} for key, value in (env or {}).items()]
    one = {"image": image, "env": variables, **(container or {})}
    template = {"metadata": {"annotations": dict(annotations or {})}, "spec": {"containers": [one], **(spec or {})}}
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default", "labels": dict(labels or {})},
        "spec": {"template": template},
    }


def condition(thing: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """The condition of that type without its time."""
    for one in (thing.get("status") or {}).get("conditions") or []:
        if one["type"] == kind:
            return {key: value for key, value in one.items() if key != "lastTransitionTime"}
    return {}


def ready(thing: dict[str, Any]) -> dict[str, Any] | None:
    """The object when it is ready."""
    settled = thing.get("status", {}).get("observedGeneration") == thing["metadata"]["generation"]
    return thing if settled and condition(thing, "Ready").get("status") == "True" else None


def eventually(look: Callable[[], Found | None]) -> Found:
    """What `look` finds, as soon as it finds something true."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.03)
    raise AssertionError(f"nothing within {PATIENCE} s")


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
