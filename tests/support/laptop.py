"""The whole platform as `make run` starts it, for tests and measurements: addresses, process, and what runs in it."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests
from kubernetes import client, config

from bigpanda_laptop.sample import make_event_data

NAMESPACE = "bigpanda"
KNATIVE = {"group": "serving.knative.dev", "version": "v1", "namespace": NAMESPACE}
START_SECONDS = 120.0


def until(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """The condition's first true answer; fails, naming what was awaited, when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        if answer := condition():
            return answer
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain: {what}"
        time.sleep(0.1)


@dataclass
class Platform:
    """A platform that answers, whoever started it."""

    ingress: str
    internal: str
    kubeconfig: Path

    def __post_init__(self) -> None:
        api = config.new_client_from_config(str(self.kubeconfig))
        self.core, self.custom = client.CoreV1Api(api), client.CustomObjectsApi(api)

    @property
    def broker(self) -> str:
        return f"{self.internal}/{NAMESPACE}/default"

    def url(self, service: str) -> str:
        return f"http://{service}.{NAMESPACE}.localhost:{self.ingress.rsplit(':', 1)[1]}"

    def get(self, service: str, path: str = "/", **headers: str) -> requests.Response:
        """As a browser would ask for a page; Python does not resolve `.localhost`, so by address and Host."""
        host = self.url(service).removeprefix("http://")
        return requests.get(f"{self.ingress}{path}", headers={"Host": host, **headers}, timeout=120)

    def call(self, function: str, **event: Any) -> requests.Response:
        """A direct POST to a function, as from inside the cluster."""
        headers, body = make_request(**event)
        headers["Host"] = f"{function}.{NAMESPACE}.svc.cluster.local"
        return requests.post(f"{self.internal}/", headers=headers, data=body, timeout=120)

    def publish(self, **event: Any) -> requests.Response:
        """An event to the broker."""
        headers, body = make_request(**event)
        return requests.post(self.broker, headers=headers, data=body, timeout=30)

    def service(self, name: str) -> dict[str, Any] | None:
        found: list[dict[str, Any]] = self.custom.list_namespaced_custom_object(plural="services", **KNATIVE)["items"]
        return next((item for item in found if item["metadata"]["name"] == name), None)

    def revisions(self, service: str) -> list[str]:
        found = self.custom.list_namespaced_custom_object(
            plural="revisions", label_selector=f"serving.knative.dev/service={service}", **KNATIVE
        )
        return [item["metadata"]["name"] for item in found["items"]]


@dataclass
class Laptop(Platform):
    """The process of `make run`, and what it has printed."""

    process: subprocess.Popen[str]
    lines: list[str]

    def is_asleep(self, service: str) -> bool:
        """No Pod in the API's eyes, and no process in the machine's."""
        pods = self.core.list_namespaced_pod(NAMESPACE, label_selector=f"serving.knative.dev/service={service}")
        return not pods.items and not processes_with(f"K_SERVICE={service}", self.process.pid)


def make_request(
    kind: str = "visualize", at: datetime | None = None, identity: str = "", data: Any = None, **changes: Any
) -> tuple[dict[str, str], bytes]:
    """Headers and body of an event about the sample task, in binary mode; `changes` are to its data."""
    prefix = "" if "." in kind else "ch.cern.bigpanda.task."
    headers = {
        "ce-specversion": "1.0",
        "ce-source": "/bigpanda",
        "ce-id": identity or str(uuid.uuid4()),
        "ce-type": f"{prefix}{kind}",
        "ce-time": (at or datetime.now(UTC)).isoformat(),
        "content-type": "application/json",
    }
    return headers, json.dumps({**make_event_data("PT1H"), **changes} if data is None else data).encode()


def processes_with(variable: str, root: int) -> list[int]:
    """Processes below `root` whose environment has this `NAME=value`."""
    found = []
    for process in descendants(root):
        with contextlib.suppress(OSError):
            if f"{variable}\0".encode() in Path(f"/proc/{process}/environ").read_bytes():
                found.append(process)
    return found


def descendants(root: int) -> list[int]:
    """Process ids below `root`, in no order."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = entry.read_text().rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(entry.parent.name))
    found, waiting = [], [root]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


@contextlib.contextmanager
def running_laptop(state: Path, *arguments: str, ports: str = "0") -> Iterator[Laptop]:
    """`make run` over `state`, ready; ended with Ctrl-C's signal, and checked to have ended well."""
    command = [sys.executable, "-m", "bigpanda_laptop", "--state", str(state), *arguments]
    for port in ("ingress", "internal", "api"):
        command += [f"--{port}-port", ports]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, process_group=0
    )
    lines: list[str] = []
    assert process.stdout is not None
    reader = threading.Thread(target=lines.extend, args=(process.stdout,), daemon=True)
    reader.start()
    try:
        until(lambda: process.poll() is not None or any("Ctrl-C" in line for line in lines), START_SECONDS, "make run")
        assert process.poll() is None, "".join(lines)
        found = json.loads((state / "knative" / "endpoints.json").read_text())
        yield Laptop(found["ingress"], found["internal"], Path(found["kubeconfig"]), process, lines)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.wait(60)
        reader.join(10)
        process.stdout.close()


def expires_at(service: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(service["metadata"]["annotations"]["bigpanda.cern.ch/expires-at"])


def hour_ago(hours: float = 1) -> datetime:
    return datetime.now(UTC) - timedelta(hours=hours)


def printed_url(lines: list[str]) -> str:
    """The address that `make run` prints for the sample's page."""
    found = re.search(r"Open\s+(\S+)", "".join(lines))
    assert found is not None, "".join(lines)
    return found[1]
