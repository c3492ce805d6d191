"""A server as a process of its own, which answers when its context is entered and ends with it."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from bigpanda_laptop.ending import end

_START_SECONDS, _STOP_SECONDS = 30.0, 5.0


def free_port() -> int:
    """A port of loopback that nobody listens on, for servers that cannot choose one themselves."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def serving(command: list[str], port: int, log: Path, environment: Mapping[str, str] | None = None) -> Iterator[None]:
    """Start it and wait until it listens on this port; RuntimeError, with the end of its log, if it does not."""
    until_we_end = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*until_we_end, *command],
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
    try:
        _wait_for(process, port, log)
        yield
    finally:
        end(process, _STOP_SECONDS)


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the server did not start: {log.read_text(errors='replace')[-2000:]}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
