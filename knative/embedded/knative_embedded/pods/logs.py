"""Where pods write: one file a Revision, bounded in size.

Pods append to the file themselves, so nothing is lost or blocked when the runtime dies. A file that has grown too
large is copied to `.1` and emptied in place (appending goes on at the new end).
"""

import shutil
from pathlib import Path

MAX_BYTES = 10 * 1024 * 1024


def log_path(logs: Path, namespace: str, revision: str) -> Path:
    """The file of a Revision; its folder exists after the call."""
    folder = logs / namespace
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder / f"{revision}.log"


def size_of(path: Path) -> int:
    """Bytes written so far."""
    return path.stat().st_size if path.exists() else 0


def bound(path: Path, limit: int = MAX_BYTES) -> bool:
    """Keep a file below `limit`; whether it was emptied."""
    if size_of(path) <= limit:
        return False
    shutil.copyfile(path, path.with_suffix(".log.1"))
    with path.open("r+b") as file:
        file.truncate(0)
    return True


def read_tail(path: Path, offset: int, limit: int = 2000) -> str:
    """The end of what was written after `offset`, for error messages."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(offset, size_of(path) - limit))
        return file.read(limit).decode("utf-8", "replace").strip()
