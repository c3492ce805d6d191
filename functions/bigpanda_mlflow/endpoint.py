"""A function at its HTTP border: what functions-framework calls, and what the broker may see.

Knative's broker takes a non-empty 2xx body that is no CloudEvent for a failure, so success is 204 or a CloudEvent; an
error's body is for people and for the dead letter: one JSON object with `error` and, where one is at fault, `field`.
"""

import json
import logging
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final

from flask import Request, Response

from bigpanda_mlflow.cluster import Cluster, connect
from bigpanda_mlflow.errors import FunctionError, Malformed, Permanent, TooLarge
from bigpanda_mlflow.events import Event, EventType, Outcome
from bigpanda_mlflow.handlers import Context
from bigpanda_mlflow.settings import Settings, SettingsError
from bigpanda_mlflow.wire import read_event, write_outcome
from mlflow_on_demand.logs import log_to_stderr

log = logging.getLogger(__name__)

_PATIENCE_BYTES: Final = 8 * 2**20

Handler = Callable[[Event[Any], Context], Outcome | None]


class Endpoint:
    """One function: the event types it takes, the handler that carries them out."""

    def __init__(self, settings: Settings, handler: Handler, *accepted: EventType) -> None:
        self._settings = settings
        self._handler = handler
        self._accepted = accepted

    @classmethod
    def from_environment(cls, handler: Handler, *accepted: EventType) -> "Endpoint":
        """Reads the process's environment; a wrong one ends the process with a sentence a variable."""
        log_to_stderr()
        try:
            return cls(Settings.from_environment(os.environ), handler, *accepted)
        except SettingsError as error:
            raise SystemExit(f"cannot start: {error}") from None

    def __call__(self, request: Request) -> Response:
        """Answers one request; every failure is a status and a sentence."""
        if request.method == "GET" and request.path == "/health":
            return Response(status=204)
        try:
            outcome = self._handler(self._read(request), self._context)
        except FunctionError as error:
            return self._refusal(error)
        if outcome is None:
            return Response(status=204)
        headers, body = write_outcome(outcome)
        return Response(body, status=200, headers=headers)

    @cached_property
    def _context(self) -> Context:
        return Context(Cluster(connect(), self._settings.namespace), self._settings, lambda: datetime.now(UTC))

    def _read(self, request: Request) -> Event[Any]:
        if request.method != "POST":
            raise _method_not_allowed()
        body = _read_body(request, self._settings.max_event_bytes)
        headers: Mapping[str, str] = {name: value for name, value in request.headers.items() if value}
        return read_event(headers, body, self._accepted, datetime.now(UTC))

    def _refusal(self, error: FunctionError) -> Response:
        field = error.field if isinstance(error, Permanent) else None
        log.warning("refused: %s", error, extra={"status": error.status, "field": field})
        body = json.dumps({"error": str(error), **({"field": field} if field else {})})
        # As a stream: only then does functions-framework not read what is left of the request, however much it is.
        return Response(iter([body]), status=error.status, content_type="application/json")


def _read_body(request: Request, limit: int) -> bytes:
    # Not through Flask's own limit: functions-framework reads a request to its end once it is answered, would run into
    # that limit a second time, and answer 500. The server in front ends this stream where the body ends.
    body = request.input_stream.read(limit + 1)
    if len(body) <= limit:
        return body
    # A sender that is still sending sees our answer only if somebody listens on; a whole flood is not listened to.
    for _ in range(_PATIENCE_BYTES // limit):
        if not request.input_stream.read(limit):
            break
    raise TooLarge(f"the body is larger than {limit} bytes", "body")


def _method_not_allowed() -> Malformed:
    error = Malformed("events come by POST")
    error.status = 405
    return error
