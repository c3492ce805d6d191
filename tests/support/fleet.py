"""A fleet of pages on the platform as `make run` deploys it, with an image of each of two MLflow releases.

The images are named by digest, as in a deployment; what one stands for on this machine is the Python of its release.
"""

import json
import os
import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

from bigpanda_laptop.deploy import (
    METRICS,
    SNAPSHOTS,
    Deployment,
    deploy,
    keep_token,
    make_secrets,
    make_settings,
    read_manifests,
)
from bigpanda_laptop.runtime import Platform as Started
from bigpanda_laptop.runtime import Ports, running_platform
from bigpanda_laptop.s3 import S3Server
from bigpanda_mlflow import labels
from bigpanda_mlflow.rollout_services import state_of
from bigpanda_mlflow.rollout_state import Rollout, ServiceState, newest_rollout
from mlflow_on_demand.landing import SEARCH_RUNS
from support.laptop import NAMESPACE, Platform, make_request, processes_with, until
from support.releases import other_python

STABLE, NEW = (f"registry.example/bigpanda-mlflow/mlflow@sha256:{digit * 64}" for digit in "12")
PATIENCE = 600.0
_ROOT = Path(__file__).parents[2]
_OURS = "bigpanda-mlflow/mlflow"
_SERVER = ["python", "-m", "mlflow_on_demand.server"]
_SETTINGS = {
    "BIGPANDA_MLFLOW_IMAGE": STABLE,
    "BIGPANDA_ROLLOUT_COHORTS": "2,50%,100%",
    "BIGPANDA_ROLLOUT_SOAK": "PT1S",
    "BIGPANDA_ROLLOUT_STEPS": "50,100",
    "BIGPANDA_ROLLOUT_STEP_SOAK": "PT1S",
    "BIGPANDA_ROLLOUT_AT_ONCE": "2",
    "BIGPANDA_ROLLOUT_VERIFY_TIMEOUT": "PT4M",  # where the machine is busy with something else
}


@dataclass
class Fleet(Platform):
    """The platform over `state`, whose embedded Knative may be killed."""

    state: Path
    s3: S3Server
    runtime: ExitStack

    @property
    def process(self) -> int:
        """The embedded Knative's."""
        return int(json.loads((self.state / "knative" / "endpoints.json").read_text())["pid"])

    def restart(self) -> None:
        """Kill the embedded Knative, and with it all that it runs; it begins anew on what it has kept."""
        os.kill(self.process, signal.SIGKILL)
        self.runtime.close()
        _start(self.state, self.runtime)

    def kill(self, function: str) -> None:
        """Kill a function's processes, once it has any."""
        variable = f"K_SERVICE={function}"
        for process in until(lambda: processes_with(variable, self.process), PATIENCE, f"{function} is awake"):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def send(self, token: str, **event: Any) -> requests.Response:
        """An event through the front door, with the token of that name; not before the broker has it."""
        headers, body = make_request(**event)
        bearer = (self.state / token).read_text()
        headers |= {"Host": self.url("front").removeprefix("http://"), "Authorization": f"Bearer {bearer}"}
        return requests.post(f"{self.ingress}/", headers=headers, data=body, timeout=120)

    def show(self, task: int, *tarballs: bytes) -> None:
        """Somebody asks for the page of a task with these tarballs."""
        self.put(task, *tarballs)
        artifacts, objective = [f"s3://{METRICS}/{task}/"], {"metric": "loss", "direction": "minimize"}
        event = {"jeditaskid": task, "artifacts": artifacts, "objective": objective}
        assert self.send("front-token", **event).status_code == 202

    def put(self, task: int, *tarballs: bytes) -> None:
        """Tarballs of a task into their bucket."""
        folder = self.state / "s3" / METRICS / str(task)
        folder.mkdir(parents=True, exist_ok=True)
        first = len(list(folder.iterdir())) + 1
        for serial, content in enumerate(tarballs, start=first):
            (folder / f"{task}.metrics.{serial:06d}.tgz").write_bytes(content)

    @property
    def snapshots(self) -> Path:
        """The snapshot store's folder."""
        return self.state / "s3" / SNAPSHOTS

    def page(self, task: int) -> dict[str, Any]:
        """A task's Service."""
        found = self.service(f"task-{task}")
        assert found is not None
        return found

    def stand(self, task: int) -> ServiceState | None:
        """Where a task's page stands in a rollout."""
        return state_of(self.page(task))

    def image(self, revision: str) -> str:
        """The image of a Revision."""
        found = self.custom.get_namespaced_custom_object("serving.knative.dev", "v1", NAMESPACE, "revisions", revision)
        return str(found["spec"]["containers"][0]["image"])

    def version(self, task: int) -> str:
        """The MLflow that a task's page has; wakes it."""
        return self.get(f"task-{task}", "/version").text

    def runs(self, task: int) -> list[str]:
        """The names of the runs that a task's page shows; wakes it."""
        headers = {"Host": self.url(f"task-{task}").removeprefix("http://")}
        asked = {"experiment_ids": [str(task)]}
        answer = requests.post(f"{self.ingress}{SEARCH_RUNS}", json=asked, headers=headers, timeout=120)
        assert answer.status_code == 200, answer.text
        return sorted(run["info"]["run_name"] for run in answer.json()["runs"])

    def find_record(self) -> Rollout | None:
        """The newest rollout's, if there is one."""
        return newest_rollout(self.core.read_namespaced_config_map(labels.ROLLOUTS, NAMESPACE).data or {})


class Again(threading.Thread, ABC):
    """Something that is done again and again, with a pause in between, for as long as the context lasts."""

    pause = 1.0

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._over = threading.Event()
        self._at_it = threading.Lock()

    @abstractmethod
    def act(self) -> None:
        """Once."""

    def run(self) -> None:
        """Until it is over."""
        while not self._over.wait(self.pause):
            with self._at_it:
                self.act()

    @contextmanager
    def away(self) -> Iterator[None]:
        """Not now."""
        with self._at_it:
            yield

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self.join()


class Pings(Again):
    """The rollout's PingSource, without its minutes in between."""

    def __init__(self, fleet: Fleet) -> None:
        super().__init__()
        self._fleet = fleet

    def act(self) -> None:
        """Whatever the answer is: another ping follows."""
        with suppress(requests.RequestException):
            self._fleet.call("rollout", kind="dev.knative.sources.ping", data={})


class Viewer(Again):
    """Somebody who looks at a page all the time: which versions of MLflow answered, and what was no good answer."""

    pause = 0.3

    def __init__(self, fleet: Fleet, task: int, runs: list[str]) -> None:
        super().__init__()
        self._fleet, self._task, self._runs = fleet, task, runs
        self.seen: list[str] = []
        self.faults: list[str] = []

    def act(self) -> None:
        """A look at the page."""
        try:
            version = self._fleet.version(self._task)
            found = self._fleet.runs(self._task)
        except (requests.RequestException, AssertionError) as error:
            self.faults.append(str(error))
            return
        if version not in self.seen:
            self.seen.append(version)
        if found != self._runs:
            self.faults.append(f"{found} by {version}")


@contextmanager
def running_fleet(state: Path) -> Iterator[Fleet]:
    """The platform, with no page yet."""
    _write_images(state)
    with S3Server(state / "s3") as s3, ExitStack() as runtime:
        for bucket in (METRICS, SNAPSHOTS):
            (state / "s3" / bucket).mkdir()
        started = _start(state, runtime)
        settings = make_settings(started.ingress, started.internal, "6s")
        settings["data"] |= _SETTINGS
        tokens = (keep_token(state / name) for name in ("front-token", "ops-token"))
        manifests = (_with_image(one) for one in read_manifests(_ROOT / "knative" / "base"))
        deploy(Deployment(started.kubeconfig), manifests, [settings, *make_secrets(s3.environment, *tokens)])
        yield Fleet(started.ingress, started.internal, started.kubeconfig, state, s3, runtime)


def _start(state: Path, runtime: ExitStack) -> Started:
    return runtime.enter_context(running_platform(state / "knative", state / "images.toml", Ports(0, 0, 0)))


def _with_image(resource: dict[str, Any]) -> dict[str, Any]:
    """What an overlay does: the stable release's image, by its digest."""
    if resource["kind"] == "Service":
        for container in resource["spec"]["template"]["spec"]["containers"]:
            if container["image"] == _OURS:
                container["image"] = STABLE
    return resource


def _write_images(state: Path) -> None:
    programs = state / "bin"
    programs.mkdir()
    # The one beside the other release's Python is not there: it is this environment's, with this environment's Python.
    framework = programs / "functions-framework"
    framework.write_text('#!/bin/sh\nexec python -m functions_framework "$@"\n')
    framework.chmod(0o755)
    # MLflow warns that packages beside it are of another release.
    path = f"{programs}:{Path(other_python()).parent}:/usr/bin:/bin"
    other = {"PATH": path, "PYTHONWARNINGS": "ignore"}
    images = {
        "bigpanda-mlflow/functions": (["functions-framework"], {}),
        STABLE: (_SERVER, {}),
        NEW: (_SERVER, other),
    }
    lines = []
    for name, (entrypoint, more) in images.items():
        env = ", ".join(f"{key} = {json.dumps(value)}" for key, value in {"HOST": "127.0.0.1", **more}.items())
        lines += [f"[{json.dumps(name)}]", f"entrypoint = {json.dumps(entrypoint)}"]
        lines += [f"workdir = {json.dumps(str(_ROOT / 'functions'))}", f"env = {{ {env} }}"]
    (state / "images.toml").write_text("\n".join(lines) + "\n")
