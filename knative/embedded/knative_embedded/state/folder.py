"""The state folder: who may use it, where things lie in it, and which ports were chosen.

Promises: one runtime at a time (an exclusive lock that the kernel releases however the process ends), nobody else on
the machine may read it, files that others read appear whole or not at all.
"""

import fcntl
import json
import os
import tempfile
from pathlib import Path
from typing import IO

from knative_embedded.settings import Ports


class StateInUse(Exception):
    """Another runtime holds this state folder."""


class Folder:
    """Paths inside the state folder, and its lock."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.database = self.root / "state.sqlite"
        self.kubeconfig = self.root / "kubeconfig"
        self.endpoints = self.root / "endpoints.json"
        self.ports = self.root / "ports.json"
        self.tls = self.root / "tls"
        self.logs = self.root / "logs"
        self.pods = self.root / "pods"
        self._lock: IO[str] | None = None

    def open(self) -> None:
        """Create what is missing and take the lock. Raises StateInUse."""
        for path in (self.root, self.tls, self.logs, self.pods):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (self.root / "lock").open("a+", encoding="utf-8")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            lock.close()
            raise StateInUse(f"{self.root} is in use by another runtime (pid {holder})") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock

    def close(self) -> None:
        """Take back what says that a runtime is running, and release the lock."""
        if self._lock is not None:
            self.endpoints.unlink(missing_ok=True)
            self._lock.close()
            self._lock = None

    def read_ports(self) -> dict[str, int]:
        """Ports chosen by an earlier run, by listener."""
        if not self.ports.exists():
            return {}
        found: dict[str, int] = json.loads(self.ports.read_text())
        return found

    def write_ports(self, ports: Ports) -> None:
        """Keep the chosen ports, so that URLs survive a restart."""
        chosen = {"ingress": ports.ingress, "internal": ports.internal, "api": ports.api}
        write_atomically(self.ports, json.dumps(chosen))


def write_atomically(path: Path, text: str) -> None:
    """Replace a file by one that only its owner may read; readers see the old or the new, never a part."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    Path(temporary).replace(path)
