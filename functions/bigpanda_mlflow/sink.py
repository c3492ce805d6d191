"""Events that are more than a reply: posted to the broker, which has them once it answers 2xx."""

from collections.abc import Mapping

import requests

from bigpanda_mlflow.errors import Transient
from bigpanda_mlflow.events import Outcome
from bigpanda_mlflow.wire import write_outcome

_TIMEOUT = (3.05, 75)
"""Seconds to connect, to answer: with the in-memory channel the broker answers only when its triggers' functions have
(Eventing 1.15, pkg/reconciler/inmemorychannel/dispatcher: its fan-out is synchronous).
"""


def send(sink: str, outcome: Outcome) -> None:
    """Raises Transient unless the broker took the event."""
    forward(sink, *write_outcome(outcome))


def forward(sink: str, headers: Mapping[str, str], body: bytes) -> None:
    """Passes an event on as it came. Raises Transient unless the broker took it: only then may anybody be told 2xx."""
    try:
        answer = requests.post(sink, headers=headers, data=body, timeout=_TIMEOUT)
    except requests.RequestException as error:
        raise Transient(f"the broker cannot be reached ({type(error).__name__})") from None
    if not answer.ok:
        raise Transient(f"the broker answered {answer.status_code}")
