"""The alternative: `mlflow server` itself over the same runs, tuned: one worker, no job runners.

It needs all that `pip install mlflow` brings, which our environment leaves out: it gets one of its own, of the same
version and on the same interpreter.
"""

import contextlib
import gzip
import importlib.metadata
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

_GIVE_UP = 120.0


@dataclass(frozen=True)
class Stock:
    """A running stock server."""

    process: int
    url: str


def unpack_database(state: Path, target: Path) -> None:
    """The database of the sample's published snapshot, as ingest wrote it."""
    [packed] = (state / "s3" / "snapshots").rglob("*.db.gz")
    target.write_bytes(gzip.decompress(packed.read_bytes()))


def find_experiments(database: Path) -> list[str]:
    """The ids of the task's experiments; MLflow's own Default is empty."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return [str(found) for (found,) in connection.execute("SELECT DISTINCT experiment_id FROM runs ORDER BY 1")]


def prepare_stock() -> Path:
    """The `mlflow` command of an environment as users have it; made at the first call, kept under `.cache`."""
    version = importlib.metadata.version("mlflow")
    folder = Path(__file__).parents[2] / ".cache" / f"stock-mlflow-{version}"
    if not (folder / "complete").exists():
        uv = [sys.executable, "-m", "uv"]
        subprocess.run([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)], check=True)
        install = [*uv, "pip", "install", "--quiet", "--no-config", "--python", str(folder / "bin" / "python")]
        subprocess.run([*install, "--compile-bytecode", f"mlflow=={version}"], check=True, cwd=folder)
        (folder / "complete").touch()
    return folder / "bin" / "mlflow"


@contextlib.contextmanager
def running_stock(mlflow: Path, database: Path, *options: str, **environment: str) -> Iterator[Stock]:
    """Starts it, and yields at once: waiting is what is measured."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    command = [str(mlflow), "server", "--workers", "1", "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--backend-store-uri", f"sqlite:///{database}", *options],
        env={
            **os.environ,
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            **environment,
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        process_group=0,
    )
    try:
        yield Stock(process.pid, f"http://127.0.0.1:{port}")
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def until_answered(url: str, body: dict[str, Any] | None = None) -> requests.Response:
    """Asks again until there is a good answer."""
    deadline = time.monotonic() + _GIVE_UP
    while time.monotonic() < deadline:
        with contextlib.suppress(requests.RequestException):
            answer = requests.get(url, timeout=60) if body is None else requests.post(url, json=body, timeout=60)
            if answer.ok:
                return answer
        time.sleep(0.02)
    raise TimeoutError(f"{url} did not answer within {_GIVE_UP:.0f} s")
