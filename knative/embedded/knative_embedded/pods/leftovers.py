"""Processes that an earlier runtime could not end: found again by pid and start time, and killed.

A pid alone may belong to somebody else by now; a pid with the start time that was noted cannot. On Linux the pods'
HOME in their environment also gives away members of a group whose leader is gone.
"""

import contextlib
import os
import signal
import sqlite3
import subprocess
from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")


def read_start_time(pid: int) -> str:
    """When a process began, in the system's own notation; empty when it is gone."""
    stat = PROC / str(pid) / "stat"
    if PROC.joinpath("self").exists():
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        except OSError:
            return ""
        return f"{boot}/{fields[19]}"
    answer = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return answer.stdout.strip()


def note_pod(connection: sqlite3.Connection, pid: int, started: str, home: str) -> None:
    """Remember a started pod."""
    connection.execute("INSERT OR REPLACE INTO pods (pid, started, home) VALUES (?, ?, ?)", (pid, started, home))


def forget_pod(connection: sqlite3.Connection, pid: int) -> None:
    """Forget a pod that has ended."""
    connection.execute("DELETE FROM pods WHERE pid = ?", (pid,))


def end_leftovers(connection: sqlite3.Connection, homes: Path) -> int:
    """Kill what an earlier run left, and forget it; how many processes were found."""
    known = connection.execute("SELECT pid, started FROM pods").fetchall()
    found = {pid for pid, started in known if started and read_start_time(pid) == started}
    for pid in found:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
    orphans = set(_find_by_home(homes)) - {os.getpid()}
    for pid in orphans:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    connection.execute("DELETE FROM pods")
    return len(found | orphans)


def _find_by_home(homes: Path) -> Iterable[int]:
    """Processes whose environment says that their home is one of the pods' folders."""
    marker = f"HOME={homes}/".encode()
    for entry in PROC.glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if any(part.startswith(marker) for part in entry.read_bytes().split(b"\0")):
                yield int(entry.parent.name)
