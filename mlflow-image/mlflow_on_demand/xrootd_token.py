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
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mlflow_on_demand.bearer_token import find_bearer_token, token_files
from mlflow_on_demand.errors import AccessDenied


@dataclass(frozen=True)
class _Handed:
    """What the client has: in which process, which token, how often it changed, and where a copy lies."""

    process: int = 0
    token: str | None = None
    generation: int = 0
    copy: Path | None = None


_lock = threading.Lock()
_handed = _Handed()


def hand_over(env: Mapping[str, str]) -> int:
    """The number of times that the token has changed; connections of an earlier number are of no use.

    AccessDenied if the environment names a token that cannot be read, or that needs a copy for which there is no place.
    """
    global _handed  # noqa: PLW0603 (the client's environment is this process's, too)
    token = find_bearer_token(env)
    with _lock:
        before = _handed if _handed.process == os.getpid() else None
        if before is not None and token == before.token:
            return before.generation
        copy = before.copy if before is not None else None
        if token and (copy or not _is_found_by_itself(env)):
            copy = _write_copy(copy, token)
        _handed = _Handed(os.getpid(), token, before.generation + 1 if before is not None else 0, copy)
        return _handed.generation


def _is_found_by_itself(env: Mapping[str, str]) -> bool:
    """Whether the client takes the token from where it is."""
    if env.get("BEARER_TOKEN"):
        return True
    for path in token_files(env):
        with suppress(OSError):
            return path.stat().st_mode & 0o077 == 0
    return True


def _write_copy(copy: Path | None, token: str) -> Path:
    try:
        if copy is None:
            folder = tempfile.mkdtemp(prefix="bearer-token-")
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
            copy = Path(folder, "token")
            # For the library alone: whoever else looks for a token finds it where it was.
            os.putenv("BEARER_TOKEN_FILE", str(copy))
        unfinished = copy.with_suffix(".new")
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(token)
        unfinished.replace(copy)
    except OSError as error:
        raise AccessDenied(f"the bearer token cannot be copied for XRootD's client: {error.strerror}") from None
    return copy
