"""Turns what XRootD's client says into this package's errors, for it says it in numbers and never raises.

The numbers are those of XrdCl/XrdClStatus.hh (of the client) and XProtocol/XProtocol.hh (3000 and up, of the server).
Texts of servers are not passed on: they repeat paths with all that was sent behind them, tokens too.
"""

import datetime as dt
from collections.abc import Mapping
from typing import Protocol

from mlflow_on_demand.bearer_token import end_of_token, find_bearer_token
from mlflow_on_demand.errors import AccessDenied, ObjectMissing, StoreError, StoreUnavailable, TransferDamaged

EXISTS = 3018
_FS_ERROR = 3005
_OF_THE_SERVER = 400
_DENIED = {203, 204, 3010, 3030}
_MISSING = {304, 3011, 3016}
_DAMAGED = {305, 3019}
_PASSING = {
    101: "its host name is not known",
    104: "the connection broke",
    106: "the connection broke",
    110: "no TLS with it; it must offer it, and X509_CERT_DIR or X509_CERT_FILE name the authority of its certificate",
    206: "it did not answer in time",
    3003: "the file is locked",
    3004: "the connection broke",  # and with it went the file that was open for writing
    3007: "it cannot read or write",
    3008: "it is out of memory",
    3012: "it failed",
    3014: "none of its servers is there",
    3024: "it is overloaded",
    3029: "no server has the file",
    3034: "it did not answer in time",
    3035: "it did not answer in time",
}
_PERMANENT = {
    3002: "the name is too long",
    3009: "there is no space left",
    3013: "it cannot do this",
    3021: "the quota is used up",
    3025: "it may only be read",
    3028: "it wants TLS: write roots:// instead of root://",
}
# Where the client's plug-ins of authentication look, but for the places that they know by themselves.
CREDENTIALS = ("BEARER_TOKEN", "BEARER_TOKEN_FILE", "KRB5CCNAME", "X509_USER_PROXY", "XrdSecSSSKT")


class Status(Protocol):
    """What each call of the client returns."""

    ok: bool
    code: int
    errno: int
    message: str


def number_of(status: Status) -> int:
    """The server's number where the server answered, else the client's."""
    return status.errno if status.code == _OF_THE_SERVER else status.code


def is_missing(status: Status) -> bool:
    """Nothing is there, be it that what should be a directory above it is a file."""
    number = number_of(status)
    return number in _MISSING or (number == _FS_ERROR and "not a directory" in status.message)


def error_of(status: Status, server: str, name: str, env: Mapping[str, str]) -> StoreError:
    """The error that says what went wrong with `name` on `server`."""
    number = number_of(status)
    if is_missing(status):
        return ObjectMissing(f"there is no '{name}' on {server}")
    if number in _DENIED:
        return AccessDenied(f"XRootD server {server} does not allow access to '{name}': {_of_credentials(env)}")
    if number in _DAMAGED:
        return TransferDamaged(f"'{name}' was damaged on its way to or from {server}")
    if number in _PERMANENT or (number >= _OF_THE_SERVER and number not in _PASSING):
        return StoreError(f"XRootD server {server} refused '{name}': {_PERMANENT.get(number, f'error {number}')}")
    reason = _PASSING.get(number, f"error {number} of the client")
    return StoreUnavailable(f"XRootD server {server} does not answer for '{name}': {reason}")


def _of_credentials(env: Mapping[str, str]) -> str:
    """What is known of the credentials that were refused, by the names of their variables."""
    found = ", ".join(variable for variable in CREDENTIALS if env.get(variable))
    if not found:
        return f"none of {', '.join(CREDENTIALS)} is set"
    try:
        end = end_of_token(find_bearer_token(env) or "")
    except AccessDenied as error:
        return str(error)
    if end is not None and end < dt.datetime.now(dt.UTC):
        return f"the bearer token ended at {end:%Y-%m-%d %H:%M:%S} UTC ({found} is set)"
    return f"it does not accept what {found} says"
