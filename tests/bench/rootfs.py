"""Processes of a built image started straight on this machine: its files as their root, our kernel and network.

No engine stands between: what is measured is the process from its start. Needs root, and what `make image` needs.
"""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from support.e2e import ROOT

STORE = ("--root", str(ROOT / ".cache/containers"), "--runroot", str(ROOT / ".cache/containers-run"))
DATA = "/srv/data"
"""Where a process finds the folder that it was given."""

# Mounts of its own, gone with the process; the process keeps the id of what was started.
_ENTER = f"""
mount --rbind /proc "$ROOT/proc" && mount --rbind /dev "$ROOT/dev" && mount -t tmpfs tmpfs "$ROOT/tmp"
mkdir -p "$ROOT{DATA}" && mount --bind "$DATA" "$ROOT{DATA}" && exec chroot "$ROOT" "$@"
"""


@dataclass(frozen=True)
class Rootfs:
    """The files of an image."""

    folder: Path

    @contextlib.contextmanager
    def running(self, data: Path, environment: Mapping[str, str], *command: str) -> Iterator[int]:
        """Starts it, its output going to `data`/log, and yields its process id at once; all has ended afterwards."""
        settings = {
            "PATH": os.environ["PATH"],
            "HOME": "/tmp",
            **environment,
            "ROOT": str(self.folder),
            "DATA": str(data),
        }
        with (data / "log").open("wb") as log:
            started = ["unshare", "--mount", "sh", "-ec", _ENTER, "sh", *command]
            process = subprocess.Popen(started, env=settings, stdout=log, stderr=log, process_group=0)
        try:
            yield process.pid
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def megabytes(self, path: str) -> float:
        """What a folder takes on the disk, in 10^6 bytes."""
        counted = subprocess.run(
            ["du", "--summarize", "--block-size=1", str(self.folder) + path], capture_output=True, text=True, check=True
        )
        return int(counted.stdout.split()[0]) / 1e6


@contextlib.contextmanager
def mounted(target: str) -> Iterator[Rootfs]:
    """The files of what `make-images` built as `target`; changes to them are thrown away."""
    container = _buildah("from", "--pull-never", f"localhost/bigpanda-mlflow/{target}")
    try:
        yield Rootfs(Path(_buildah("mount", container)))
    finally:
        _buildah("rm", container)


def _buildah(*arguments: str) -> str:
    ran = subprocess.run(["buildah", *STORE, *arguments], capture_output=True, text=True, check=True)
    return ran.stdout.strip()
