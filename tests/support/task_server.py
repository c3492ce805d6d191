"""A real server of one task, in a process of its own, as a pod would run it."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from mlflow_on_demand.settings import ServerSettings
from support.hpo_files import TASK

HOST = f"task-{TASK}.bigpanda.localhost"
PATIENCE = 90.0


@dataclass
class TaskServer:
    """The process, its log as JSON objects, and a client that speaks to it as a browser on the task's page would."""

    process: subprocess.Popen[str]
    log: list[dict[str, Any]] = field(default_factory=list)
    port: int = 0
    host: str = HOST

    @property
    def netloc(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.netloc}/"

    def ask(self, method: str, path: str, headers: Mapping[str, str] | None = None, **more: Any) -> httpx.Response:
        address = f"http://127.0.0.1:{self.port}{path}"
        return httpx.request(
            method, address, headers={"Host": self.netloc, **(headers or {})}, timeout=PATIENCE, **more
        )

    def stage(self) -> str:
        return str(self.ask("GET", "/health").json()["stage"])

    def wait_for(self, stage: str) -> None:
        self.until(lambda: self.stage() == stage)

    def until(self, good: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not good():
            assert time.monotonic() < end, self.log
            assert self.process.poll() is None, self.log
            time.sleep(0.05)

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


@contextmanager
def serving(
    snapshot_store: str,
    tmp: str,
    environment: Mapping[str, str] | None = None,
    python: str = sys.executable,
    host: str = HOST,
) -> Iterator[TaskServer]:
    """Start a server whose scratch files go below `tmp`; it has ended afterwards, and left nothing where it stood."""
    settings = ServerSettings(TASK, snapshot_store, f"http://{host}:8080")
    env = {**os.environ, **settings.to_env(), "PORT": "0", "TMPDIR": tmp, **(environment or {})}
    command = [python, "-m", "mlflow_on_demand.server"]
    with (
        tempfile.TemporaryDirectory() as stand,
        subprocess.Popen(command, env=env, cwd=stand, stderr=subprocess.PIPE, text=True) as process,
    ):
        server = TaskServer(process, host=host)
        reader = threading.Thread(target=_read_log, args=(server,), daemon=True)
        reader.start()
        try:
            server.until(lambda: server.port > 0)
            yield server
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            reader.join()
        # A container's own folders are read-only: MLflow would fail on the first one that it makes.
        assert list(Path(stand).iterdir()) == []


def _read_log(server: TaskServer) -> None:
    assert server.process.stderr is not None
    for line in server.process.stderr:
        entry: dict[str, Any] = json.loads(line) if line.startswith("{") else {"message": line}
        server.log.append(entry)
        if entry["message"] == "listening":
            server.port = int(entry["port"])
