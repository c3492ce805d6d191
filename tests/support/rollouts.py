"""A fleet for the tests of rollouts: a real API server, and pages and an ingest that are small programs.

The image `mlflow@sha256:1…` is the stable one, of version 1; each other has the version of its first digit. A page that
the file `broken` of its namespace names, under its version, shows something else than it should.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from kubernetes import config

from bigpanda_mlflow import handlers, labels
from bigpanda_mlflow.candidate import Candidate
from bigpanda_mlflow.cluster import Cluster
from bigpanda_mlflow.context import Context
from bigpanda_mlflow.events import Event, EventKey, EventType, ImagePublished, RolloutCommand
from bigpanda_mlflow.names import service_name
from bigpanda_mlflow.rollout_handlers import rollout
from bigpanda_mlflow.rollout_services import state_of
from bigpanda_mlflow.rollout_state import Rollout, RolloutPhase, ServiceState, newest_rollout
from bigpanda_mlflow.settings import Settings
from bigpanda_mlflow.verification import Verdict
from embedded.kit import Cluster as Runtime
from embedded.kit import eventually
from support.builders import ENVIRONMENT, visualize_event
from support.scenes import Clock

WRITES = ("POST", "PUT", "PATCH", "DELETE")

_PROGRAM = """
import http.server, json, os, pathlib

VERSION, TASK = os.environ["VERSION"], os.environ.get("BIGPANDA_JEDITASKID", "")
HERE = pathlib.Path(__file__).parent / os.environ["BIGPANDA_SNAPSHOT_STORE"].rpartition("/")[2]


class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        broken = json.loads((HERE / "broken.json").read_text())
        self.reply(200, {"mlflow": VERSION, "task": TASK, "broken": TASK in broken.get(VERSION, [])})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with (HERE / "ingested.jsonl").open("a") as file:
            file.write(json.dumps([VERSION, body["jeditaskid"], self.headers["ce-type"]]) + "\\n")
        self.reply(200, {})

    def reply(self, status, said):
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Page).serve_forever()
"""


def image(version: int) -> str:
    """The reference of a version's image."""
    return f"registry.example/bigpanda-mlflow/mlflow@sha256:{str(version) * 64}"


def write_images(root: Path) -> Path:
    """The image file, with versions 1 to 4."""
    (root / "page.py").write_text(_PROGRAM)
    path, command = root / "images.toml", [sys.executable, str(root / "page.py")]
    path.write_text(
        "\n".join(
            f'["{image(version)}"]\nentrypoint = {json.dumps(command)}\nenv = {{ VERSION = "{version}" }}'
            for version in range(1, 5)
        )
    )
    return path


def verify(url: str, _: int, version: str, deadline: float, host: str | None = None) -> Verdict:
    """As far as a small program can be verified: it wakes, is of that version, and shows what it should."""
    with Candidate(url, host, deadline) as candidate:
        said = candidate.wait_ready(may_wait=False)
    if said["mlflow"] != version:
        return Verdict(ok=False, reasons=(f"is {said['mlflow']} instead of {version}",))
    return Verdict(ok=not said["broken"], reasons=("shows something else",))


def complete(record: Rollout) -> bool:
    """Whether the fleet is through."""
    return record.phase is RolloutPhase.COMPLETED


class Dead(BaseException):
    """The process is gone at this point."""


class World:
    """One namespace with a fleet; the clock stands still until it is moved."""

    def __init__(self, runtime: Runtime, namespace: str, sink: str, **settings: str) -> None:
        self.runtime, self.namespace = runtime, namespace
        self.environment = {
            **ENVIRONMENT,
            "BIGPANDA_NAMESPACE": namespace,
            "BIGPANDA_MLFLOW_IMAGE": image(1),
            "BIGPANDA_SNAPSHOT_STORE": f"s3://snapshots/{namespace}",
            "BIGPANDA_GATEWAY": runtime.endpoints["internal"],
            "BIGPANDA_ROLLOUT_COHORTS": "2,50%,100%",
            "BIGPANDA_IDLE_WINDOW": "6s",
            "K_SINK": sink,
            **settings,
        }
        self.clock = Clock()
        self.clients: list[Any] = []
        self.context = self.another()
        self.root = runtime.images.parent / namespace
        self.root.mkdir()
        self.break_pages({})
        self._found()

    def another(self) -> Context:
        """The context of another replica."""
        api = config.new_client_from_config(str(self.runtime.endpoints["kubeconfig"]))
        self.clients.append(api)
        return Context(Cluster(api, self.namespace), Settings.from_environment(self.environment), self.clock)

    def mortal(self, writes: int) -> Context:
        """One that is dead after that many writes; the Lease's do not count, or nobody would come to the first."""
        context = self.another()
        api = context.cluster.api
        call, left = api.call_api, [writes]

        def count(method: str, url: str, *arguments: Any, **named: Any) -> Any:
            mine = method in WRITES and "/leases/" not in url
            if left[0] <= 0:
                raise Dead
            answer = call(method, url, *arguments, **named)
            left[0] -= mine
            if mine and left[0] <= 0:
                answer.read()  # or its connection would be left open
                raise Dead
            return answer

        api.call_api = count
        return context

    def close(self) -> None:
        for api in self.clients:
            api.close()

    def _found(self) -> None:
        secrets, leases = f"/api/v1/namespaces/{self.namespace}/secrets", "/apis/coordination.k8s.io/v1/namespaces"
        made = [
            ("/api/v1/namespaces", "v1", "Namespace", self.namespace),
            (secrets, "v1", "Secret", "bigpanda-mlflow-page"),
            (f"{leases}/{self.namespace}/leases", "coordination.k8s.io/v1", "Lease", labels.ROLLOUTS),
        ]
        for path, version, kind, name in made:
            self.runtime.create(path, {"apiVersion": version, "kind": kind, "metadata": {"name": name}})
        for name in ("ingest", "sweep"):
            self.runtime.create(f"{self.paths}/services", _make_function(name, self.environment))

    @property
    def paths(self) -> str:
        return f"/apis/serving.knative.dev/v1/namespaces/{self.namespace}"

    def show(self, *tasks: int) -> None:
        """Somebody asks for these tasks' pages."""
        for task in tasks:
            event = visualize_event(self.clock(), f"v{task}", jeditaskid=task, lifetime="P9D")
            assert handlers.visualize(event, self.context).type is EventType.READY

    def publish(self, version: int) -> Rollout:
        """A new image, now."""
        data = ImagePublished(image=image(version), version=str(version))
        self.send(Event(EventKey(self.clock.now, f"i{version}"), EventType.IMAGE_PUBLISHED, data))
        return self.record

    def command(self, word: str, **more: Any) -> None:
        """An operator's command, now."""
        data = RolloutCommand.model_validate({"command": word, **more})
        self.send(Event(EventKey(self.clock.now, f"c-{time.monotonic()}"), EventType.ROLLOUT_COMMAND, data))

    def send(self, event: Event[Any]) -> None:
        rollout(event, self.context, verify)

    def step(self, context: Context | None = None, verify: Any = verify, seconds: float = 60.0) -> None:
        """The PingSource fires."""
        rollout(Event(EventKey(self.clock.now, "p"), EventType.PING, None), context or self.context, verify, seconds)

    def go_on(self, until: Callable[[Rollout], bool], minutes: int = 20, most: int = 30) -> Rollout:
        """Step after step, with time in between, until the record is so."""
        for _ in range(most):
            self.step()
            if until(self.record):
                return self.record
            self.wait(minutes)
        raise AssertionError(f"did not come to it: {self.record.as_json()} {self.states()}")

    def wait(self, minutes: float) -> None:
        """Time goes by."""
        self.clock.now += timedelta(minutes=minutes)

    @property
    def record(self) -> Rollout:
        found = newest_rollout(self.context.cluster.get_rollouts())
        assert found is not None
        return found

    def service(self, name: str | int) -> dict[str, Any]:
        """A Service as it is now, by name or by task."""
        found = self.context.cluster.get_service(service_name(name) if isinstance(name, int) else name)
        assert found is not None
        return found

    def states(self) -> dict[int, ServiceState | None]:
        """Where each page stands."""
        pages = self.context.cluster.list_services()
        return {int(page["metadata"]["name"].removeprefix("task-")): state_of(page) for page in pages}

    def phases(self) -> dict[int, str]:
        """The phase of each page in the newest rollout; empty for one that it has not touched."""
        name = self.record.name
        return {
            task: state.phase.value if state is not None and state.rollout == name else ""
            for task, state in self.states().items()
        }

    def served(self, task: int) -> str:
        """The version that a page's visitor gets; wakes it."""
        return self._get(service_name(task))

    def await_version(self, task: int, version: int) -> None:
        """Until that is what a visitor gets: an ingress hears of a change a little later."""
        eventually(lambda: self.served(task) == str(version))

    def _get(self, host: str) -> str:
        answer = self.runtime.internal.get("/", headers={"host": f"{host}.{self.namespace}.svc.cluster.local"})
        return str(answer.json()["mlflow"]) if answer.status_code == 200 else str(answer.status_code)

    def revisions(self, task: int | None = None) -> set[str]:
        """The names of all Revisions there are of a task, or of all."""
        selector = {} if task is None else {"labelSelector": f"{labels.REVISION_OF}={service_name(task)}"}
        listed = self.runtime.api.get(f"{self.paths}/revisions", params=selector).json()["items"]
        return {revision["metadata"]["name"] for revision in listed}

    def break_pages(self, broken: Mapping[int, list[int]]) -> None:
        """Pages that show something else, by version."""
        said = {str(version): [str(task) for task in tasks] for version, tasks in broken.items()}
        (self.root / "broken.json").write_text(json.dumps(said))

    def forget_ingested(self) -> None:
        """From here on, only what is ingested anew counts."""
        (self.root / "ingested.jsonl").unlink(missing_ok=True)

    def ingested(self) -> set[tuple[str, int]]:
        """Who ingested which tasks: version and task."""
        path = self.root / "ingested.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return {(version, task) for version, task, _ in map(json.loads, lines)}


def _make_function(name: str, environment: Mapping[str, str]) -> dict[str, Any]:
    store = {"name": "BIGPANDA_SNAPSHOT_STORE", "value": environment["BIGPANDA_SNAPSHOT_STORE"]}
    container = {"image": image(1), "env": [store], "readinessProbe": {"httpGet": {"path": "/health"}}}
    metadata = {"annotations": {labels.INITIAL_SCALE: "0", labels.WINDOW: "6s"}}
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": {labels.VISIBILITY: "cluster-local"}},
        "spec": {"template": {"metadata": metadata, "spec": {"containers": [container]}}},
    }
