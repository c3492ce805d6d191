"""How a function calls a Revision of this namespace that only a tag leads to: by the cluster-local host of the tag.

A name such as `candidate-ingest.bigpanda.svc.cluster.local` resolves inside a cluster. Where it does not, on a laptop,
the request goes to the gateway that serves such hosts, with the host in its header.

Promises: no proxy and no .netrc of the environment is used, no redirect is followed, and a body is read up to a limit.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import requests

from bigpanda_mlflow.errors import Permanent, Transient
from bigpanda_mlflow.events import EventType, Outcome, Results
from bigpanda_mlflow.settings import Settings
from bigpanda_mlflow.wire import write_outcome

_CONNECT_SECONDS: Final = 10
"""A Revision that sleeps accepts a connection at once: the activator does, for it."""
_MOST_BYTES: Final = 65536
_AGAIN: Final = frozenset({404, 408, 409, 429})
"""With 5xx, what Knative's own broker would deliver again; 404 is also an ingress that has not heard of the tag yet."""


@dataclass(frozen=True)
class Door:
    """Where to send requests, and the `Host` header that they need; None where the URL's own host is right."""

    url: str
    host: str | None = None


def door_of(service: str, tag: str, settings: Settings) -> Door:
    """The door of a Service's tag."""
    host = f"{tag}-{service}.{settings.namespace}.svc.cluster.local"
    return Door(f"http://{host}") if settings.gateway is None else Door(settings.gateway, host)


def have_ingested(door: Door, jeditaskid: int, cause: str, now: datetime, seconds: float) -> None:
    """Has a Revision of `ingest` bring a task's snapshot up to date, in the schema of that Revision's MLflow.

    The same `cause` is the same event. A task that has ended meanwhile is none to ingest, and no error. Raises
    Transient where asking again may help, else Permanent with the Revision's own sentence.
    """
    event = Outcome(EventType.RESULTS, f"{cause}:{jeditaskid}", now, Results(jeditaskid=jeditaskid))
    headers, body = write_outcome(event)
    if door.host is not None:
        headers = {**headers, "Host": door.host}
    with requests.Session() as session:
        session.trust_env = False
        try:
            with session.post(
                door.url,
                headers=headers,
                data=body,
                timeout=(_CONNECT_SECONDS, seconds),
                allow_redirects=False,
                stream=True,
            ) as answer:
                said = answer.raw.read(_MOST_BYTES, decode_content=True)
        except (requests.RequestException, OSError) as error:
            raise Transient(f"the new image's ingest cannot be reached ({type(error).__name__})") from None
    if 200 <= answer.status_code < 300:
        return
    sentence = f"the new image's ingest answered {answer.status_code}{_sentence(said)}"
    raise (Transient if answer.status_code >= 500 or answer.status_code in _AGAIN else Permanent)(sentence)


def _sentence(body: bytes) -> str:
    try:
        return f": {json.loads(body)['error']}"
    except (ValueError, KeyError, TypeError):
        return ""
