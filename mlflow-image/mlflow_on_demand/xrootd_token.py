"""Hands this process's bearer token to XRootD's client, and says when it is another one.

The client finds tokens by itself, but it takes none from a file that others than its owner may read, which is how
Kubernetes mounts a Secret for a user that is not root; and a connection stays with the token that opened it. So the
client gets, where it needs one, a copy that nobody else can read, made anew when the token is another; and each token
has connections of its own.
"""

import atexit
import os
import shutil
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlflow_on_demand.bearer_token import find_bearer_token, token_files


@dataclass
class _Handed:
    """What the client has: the copy's place, the token in it, how often that changed, and in which process."""

    process: int
    copy: Path | None = None
    token: str | None = None
    generation: int = 0


_lock = threading.Lock()
_handed = _Handed(0)


def hand_over(env: Mapping[str, str]) -> int:
    """The number of times that the token has changed; connections of an earlier number are of no use.

    AccessDenied if the environment names a token that cannot be read.
    """
    global _handed  # noqa: PLW0603 (the client's environment is this process's, too)
    token = find_bearer_token(env)
    with _lock:
        if _handed.process != os.getpid():
            _handed = _Handed(os.getpid(), token=token)
        elif token != _handed.token:
            _handed.token = token
            _handed.generation += 1
        else:
            return _handed.generation
        if token and (_handed.copy or not _is_found_by_itself(env)):
            _write_copy(_handed, token)
        return _handed.generation


def _is_found_by_itself(env: Mapping[str, str]) -> bool:
    """Whether the client takes the token from where it is."""
    found = next((path for path in token_files(env) if path.exists()), None)
    return bool(env.get("BEARER_TOKEN")) or found is None or found.stat().st_mode & 0o077 == 0


def _write_copy(handed: _Handed, token: str) -> None:
    if handed.copy is None:
        folder = tempfile.mkdtemp(prefix="bearer-token-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        handed.copy = Path(folder, "token")
        # For the library alone: whoever else looks for a token finds it where it was.
        os.putenv("BEARER_TOKEN_FILE", str(handed.copy))
    unfinished = handed.copy.with_suffix(".new")
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(token)
    unfinished.replace(handed.copy)
