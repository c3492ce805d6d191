"""How a recorded answer is looked for and sent, whoever sends it. Light to import."""

from collections.abc import Mapping
from dataclasses import dataclass

from mlflow_on_demand.answers import Answer
from mlflow_on_demand.gate import is_same_origin
from mlflow_on_demand.negotiation import IDENTITY, choose_encoding
from mlflow_on_demand.request_key import make_key


@dataclass(frozen=True)
class Reply:
    """What goes out: status, headers but for the length, and the body as the client takes it."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def key_of(method: str, path: str, query: bytes, headers: Mapping[str, str], body: bytes) -> str | None:
    """What a request is looked for by, or None when it can have no recorded answer; header names in lower case."""
    # Who wants none that was kept (RFC 9111, 5.2.1.4) is answered by MLflow: so a rollout sees that it can.
    if "no-cache" in headers.get("cache-control", ""):
        return None
    # MLflow adds headers for pages of other origins; we leave that to it.
    if not is_same_origin(headers.get("origin", ""), headers.get("host", "")):
        return None
    return make_key(method, path, query, headers.get("content-type", ""), body)


def reply_with(recorded: Answer, accept_encoding: str | None) -> Reply:
    """The answer, compressed as it lies there where the client takes that."""
    headers = {"content-type": recorded.content_type, "vary": "Accept-Encoding"}
    if choose_encoding(accept_encoding, ("gzip", IDENTITY)) == "gzip":
        return Reply(recorded.status, {**headers, "content-encoding": "gzip"}, recorded.packed)
    return Reply(recorded.status, headers, recorded.body())
