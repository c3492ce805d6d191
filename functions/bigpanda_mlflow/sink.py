"""Events that are more than a reply: posted to the broker, which has them once it answers 2xx.

Promises: where a token file is set (a broker that asks who sends, by Knative's OIDC), its token goes to K_SINK and
nowhere else: no redirect is followed, no proxy and no .netrc of the environment is used; it appears in no error.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import requests

from bigpanda_mlflow.errors import Transient
from bigpanda_mlflow.events import Outcome
from bigpanda_mlflow.settings import Settings
from bigpanda_mlflow.wire import write_outcome

_TIMEOUT = (3.05, 75)
"""Seconds to connect, to answer: with the in-memory channel the broker answers only when its triggers' functions have
(Eventing 1.15, pkg/reconciler/inmemorychannel/dispatcher: its fan-out is synchronous).
"""
_TOKEN: Final = re.compile(rb"[A-Za-z0-9._~+/-]+=*")
"""A bearer token (RFC 6750, section 2.1)."""


def send(settings: Settings, outcome: Outcome) -> None:
    """Raises Transient unless the broker took the event."""
    forward(settings, *write_outcome(outcome))


def forward(settings: Settings, headers: Mapping[str, str], body: bytes) -> None:
    """Passes an event on as it came. Raises Transient unless the broker took it: only then may anybody be told 2xx."""
    if settings.sink is None:
        raise Transient("K_SINK is not set: there is no broker to post to")
    headers = {**headers, **_authorization(settings.sink_token_file)}
    with requests.Session() as session:
        session.trust_env = False
        try:
            answer = session.post(settings.sink, headers=headers, data=body, timeout=_TIMEOUT, allow_redirects=False)
        except requests.RequestException as error:
            raise Transient(f"the broker cannot be reached ({type(error).__name__})") from None
    if not 200 <= answer.status_code < 300:
        raise Transient(f"the broker answered {answer.status_code}{_hint(answer.status_code, settings)}")


def _authorization(file: str | None) -> dict[str, str]:
    """The header for the token as the file has it now: the kubelet puts another there before it expires."""
    if file is None:
        return {}
    try:
        token = Path(file).read_bytes().strip()
    except OSError as error:
        raise Transient(f"the token for the broker cannot be read: {file}: {error.strerror}") from None
    if not _TOKEN.fullmatch(token):
        raise Transient(f"the token for the broker cannot be read: {file} {'holds none' if token else 'is empty'}")
    return {"Authorization": f"Bearer {token.decode()}"}


def _hint(status: int, settings: Settings) -> str:
    if status not in {401, 403}:
        return ""
    if settings.sink_token_file is None:
        return ": it asks who sends, and K_SINK_TOKEN_FILE is not set"
    return f": it does not take the token of {settings.sink_token_file}"
