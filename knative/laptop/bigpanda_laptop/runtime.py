"""The embedded Knative as a child process of `make run`: started, waited for, ended with everything it started."""

import contextlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bigpanda_laptop.ending import end

START_SECONDS = 60.0
STOP_SECONDS = 45.0
"""Longer than the grace that the runtime itself gives its pods."""


class RuntimeFailedError(RuntimeError):
    """The embedded Knative did not start; it has said why on the terminal."""


@dataclass(frozen=True)
class Ports:
    """Where the platform listens, all on loopback; 0 takes a free port and keeps it with the state."""

    ingress: int
    internal: int
    api: int


@dataclass(frozen=True)
class Platform:
    """A running embedded Knative: addresses as URLs, and the kubeconfig for everybody who speaks Kubernetes."""

    ingress: str
    internal: str
    kubeconfig: Path


@contextlib.contextmanager
def running_platform(state: Path, images: Path, ports: Ports) -> Iterator[Platform]:
    """The embedded Knative over `state`, ready. Raises RuntimeFailedError."""
    endpoints = state / "endpoints.json"
    endpoints.unlink(missing_ok=True)  # a former run's: what is read below is this run's
    process = subprocess.Popen(
        _command(state, images, ports), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, process_group=0
    )
    try:
        found = _wait(process, endpoints)
        yield Platform(found["ingress"], found["internal"], Path(found["kubeconfig"]))
    finally:
        end(process, STOP_SECONDS)


def _command(state: Path, images: Path, ports: Ports) -> list[str]:
    command = [
        *(sys.executable, "-m", "knative_embedded"),
        *("--state", str(state), "--images", str(images)),
        *("--ingress-port", str(ports.ingress)),
        *("--internal-port", str(ports.internal)),
        *("--api-port", str(ports.api)),
    ]
    if setpriv := shutil.which("setpriv"):  # even a kill -9 of ours leaves nothing behind
        return [setpriv, "--pdeathsig", "TERM", *command]
    return command


def _wait(process: subprocess.Popen[bytes], endpoints: Path) -> dict[str, str]:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeFailedError(f"the embedded Knative ended with exit code {process.returncode}")
        if endpoints.exists():
            found: dict[str, str] = json.loads(endpoints.read_text())
            return found
        time.sleep(0.05)
    raise RuntimeFailedError(f"the embedded Knative was not ready within {START_SECONDS:.0f} s")
