"""The keys of an S3 server as they are now, found where AWS's own tools look first: the environment, then a file.

A process's environment stays what it was when it began, while keys rotate: who runs for longer than a key lives names a
file (AWS_SHARED_CREDENTIALS_FILE, in the format of `~/.aws/credentials`), such as one of a mounted Secret, which is
looked at again before each request. Whatever else there may be (roles, other profiles' sources) is boto3's to find.
Light to import.
"""

from collections.abc import Mapping
from configparser import Error, RawConfigParser
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mlflow_on_demand.errors import AccessDenied

KEYS_FILE: Final = "AWS_SHARED_CREDENTIALS_FILE"
_IN_ENVIRONMENT = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
_REFUSALS = {
    "ExpiredToken": "the session token of {keys} has expired",
    "ExpiredTokenException": "the session token of {keys} has expired",
    "InvalidToken": "the session token of {keys} is none that it knows",
    "InvalidAccessKeyId": "the access key of {keys} is none that it knows",
    "SignatureDoesNotMatch": "the secret key of {keys} is not the one of its access key",
    "RequestTimeTooSkewed": "the clock of this machine is wrong, so it takes no signature of {keys}",
}


@dataclass(frozen=True)
class Keys:
    """An access key, its secret, and the session token of temporary ones."""

    key: str
    secret: str = field(repr=False)
    token: str = field(repr=False)


def find_keys(env: Mapping[str, str]) -> Keys | None:
    """The keys, or None where boto3 has to look for them.

    AccessDenied, naming file and profile, if AWS_SHARED_CREDENTIALS_FILE names a file that cannot be read or has no
    such profile: whoever set it wants those keys and no others.
    """
    key, secret = (env.get(name) for name in _IN_ENVIRONMENT)
    if key and secret:
        return Keys(key, secret, env.get("AWS_SESSION_TOKEN") or "")
    if key or secret or not env.get(KEYS_FILE):
        return None
    return _read(Path(env[KEYS_FILE]), env.get("AWS_PROFILE") or "default")


def tell_refusal(code: str, what: str, env: Mapping[str, str]) -> str:
    """Why an S3 server refuses a request for `what`, by the code of its answer; names the keys and never tells them."""
    if all(env.get(name) for name in _IN_ENVIRONMENT):
        keys = f"the keys in {_IN_ENVIRONMENT[0]}"
    else:
        keys = f"the keys in the file of {KEYS_FILE}" if env.get(KEYS_FILE) else "the keys that boto3 found"
    reason = _REFUSALS.get(code)
    refusal = f"the S3 store denies access to {what}"
    return f"{refusal}: {reason.format(keys=keys)}" if reason else f"{refusal} with {keys}"


def _read(path: Path, profile: str) -> Keys | None:
    told = f"{KEYS_FILE} names '{path}'"
    parser = RawConfigParser()
    try:
        parser.read_string(path.read_text("utf-8"))
    except (OSError, UnicodeError):
        raise AccessDenied(f"the S3 keys cannot be read: {told}") from None
    except Error:  # its message would quote the line
        raise AccessDenied(f"the S3 keys cannot be read: {told}, which is no file of profiles and keys") from None
    if not parser.has_section(profile):
        raise AccessDenied(f"there are no S3 keys: {told}, which has no profile '{profile}'")
    found = {name: value.strip() for name, value in parser.items(profile)}
    key, secret = found.get("aws_access_key_id"), found.get("aws_secret_access_key")
    if key and secret:
        return Keys(key, secret, found.get("aws_session_token", ""))
    if key or secret or not found:
        raise AccessDenied(f"the S3 keys are incomplete: {told}, whose profile '{profile}' lacks a key or its secret")
    return None
