"""Finds the bearer token of this process, where WLCG's tools look for it and in their order.

As "WLCG Bearer Token Discovery" (https://doi.org/10.5281/zenodo.3937438) says it: BEARER_TOKEN, the file that
BEARER_TOKEN_FILE names, `bt_u<uid>` in XDG_RUNTIME_DIR, and in /tmp. Tokens live for hours and services for weeks, so
ask anew for each request: nothing is kept. Whether a token is any good is for the server to judge.
"""

import base64
import datetime as dt
import json
import os
from collections.abc import Mapping
from pathlib import Path

from mlflow_on_demand.errors import AccessDenied

_SHARED = Path("/tmp")  # noqa: S108 (the place that the discovery names)


def find_bearer_token(env: Mapping[str, str]) -> str | None:
    """The token, or None where there is none.

    AccessDenied, without the token, if BEARER_TOKEN_FILE names a file that cannot be read or is empty: whoever set it
    wants that token and no other.
    """
    if token := env.get("BEARER_TOKEN", "").strip():
        return token
    if named := env.get("BEARER_TOKEN_FILE"):
        return _read_named(Path(named))
    return next(filter(None, map(_read, token_files(env))), None)


def token_files(env: Mapping[str, str]) -> list[Path]:
    """The files in which a token is looked for, the first with one wins; a named one is the only one."""
    if named := env.get("BEARER_TOKEN_FILE"):
        return [Path(named)]
    folders = [Path(env["XDG_RUNTIME_DIR"])] if env.get("XDG_RUNTIME_DIR") else []
    return [folder / f"bt_u{os.geteuid()}" for folder in (*folders, _SHARED)]


def _read_named(path: Path) -> str:
    try:
        token = path.read_text("utf-8").strip()
    except (OSError, UnicodeError):
        raise AccessDenied(f"the bearer token cannot be read: BEARER_TOKEN_FILE names '{path}'") from None
    if not token:
        raise AccessDenied(f"the bearer token is empty: BEARER_TOKEN_FILE names '{path}'")
    return token


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeError):
        return ""


def end_of_token(token: str) -> dt.datetime | None:
    """When the token ends by its own words (`exp` of a JWT, unverified); None if it is no JWT or does not say."""
    try:
        claims = token.split(".")[1]
        return dt.datetime.fromtimestamp(json.loads(base64.urlsafe_b64decode(f"{claims}==="))["exp"], dt.UTC)
    except (IndexError, ValueError, KeyError, TypeError, OverflowError, OSError):
        return None
