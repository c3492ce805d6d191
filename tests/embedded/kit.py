"""What the tests of the embedded Knative share: starting one, talking to it, and the images it runs."""

import json
import os
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

ECHO = """
import http.server, json, os, sys, time

time.sleep(float(os.environ.get("SLOW", "0")))
if os.environ.get("BROKEN"):
    print("cannot start: " + os.environ["BROKEN"], flush=True)
    sys.exit(3)
if os.environ.get("CHILD"):
    import subprocess
    child = subprocess.Popen(["sleep", "600"])


class Echo(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        length = self.headers.get("content-length")
        if length is not None:
            body = self.rfile.read(int(length))
        elif self.headers.get("transfer-encoding"):
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = b""
        print(self.command, self.path, flush=True)
        if self.path.startswith("/exit"):
            os._exit(7)
        if self.path.startswith("/redirect"):
            return self.reply(302, b"", [("location", "/elsewhere")])
        if self.path.startswith("/bytes"):
            return self.reply(200, bytes(range(256)) * 4096, [("content-encoding", "br")])
        if self.path.startswith("/stream"):
            self.send_response(200)
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            for number in range(3):
                self.wfile.write(b"2\\r\\n%d\\n\\r\\n" % number)
                self.wfile.flush()
            self.wfile.write(b"0\\r\\n\\r\\n")
            return
        if self.path.startswith("/forever"):
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(b"tick\\n")
                    time.sleep(0.05)
            finally:
                print("forever ended", flush=True)
        if self.path.startswith("/sleep"):
            time.sleep(0.3)
        said = {
            "method": self.command, "path": self.path, "headers": list(self.headers.items()),
            "env": dict(os.environ), "argv": sys.argv, "cwd": os.getcwd(), "pid": os.getpid(),
            "body": body.decode("latin-1"),
        }
        self.reply(200, json.dumps(said).encode(), [("content-type", "application/json")])

    def reply(self, status, body, headers):
        self.send_response(status)
        for header in headers:
            self.send_header(*header)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = answer

    def log_message(self, *args):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Echo).serve_forever()
"""

RECEIVER = """
import http.server, json, os, pathlib, time

WHERE = pathlib.Path(os.environ["RECEIVED"])


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        event = {name.lower(): value for name, value in self.headers.items()}
        kind = event.get("ce-type", "")
        with WHERE.open("a") as file:
            file.write(json.dumps({"headers": event, "path": self.path, "body": body.decode()}) + "\\n")
        if self.path.startswith("/status/"):
            return self.reply(int(self.path.rpartition("/")[2]), b"because of that")
        if self.path.startswith("/chatty"):
            return self.reply(200, b"OK")
        if self.path.startswith("/slow"):
            time.sleep(0.5)
        if self.path.startswith("/answer"):
            headers = [("ce-specversion", "1.0"), ("ce-id", "r-" + event["ce-id"]), ("ce-source", "/receiver"),
                       ("ce-type", kind + ".answered"), ("content-type", "application/json")]
            return self.reply(200, b"{}", headers)
        self.reply(204, b"")

    def do_GET(self):
        self.reply(200, b"")

    def reply(self, status, body, headers=()):
        self.send_response(status)
        for header in headers:
            self.send_header(*header)
        if status != 204:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Receiver).serve_forever()
"""


def write_images(root: Path) -> Path:
    """The image file with `test/echo` and `test/receiver`."""
    (root / "echo.py").write_text(ECHO)
    (root / "receiver.py").write_text(RECEIVER)
    path = root / "images.toml"
    path.write_text(
        f"""
["test/echo"]
entrypoint = ["{sys.executable}", "echo.py"]
cmd = ["from-image"]
workdir = "."
env = {{ FROM_IMAGE = "yes", SHADOWED = "image" }}

["test/receiver"]
entrypoint = ["{sys.executable}", "{root / "receiver.py"}"]
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
