"""A function that answers one event after the other: what functions-framework calls."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from flask import Request, Response

from bigpanda_mlflow.answers import answer, read_body, read_headers, reply
from bigpanda_mlflow.cluster import Cluster, connect
from bigpanda_mlflow.context import Context
from bigpanda_mlflow.errors import MethodNotAllowed
from bigpanda_mlflow.events import Event, EventType, Outcome
from bigpanda_mlflow.settings import Settings, SettingsError
from bigpanda_mlflow.wire import read_event
from mlflow_on_demand.logs import log_to_stderr

Handler = Callable[[Event[Any], Context], Outcome | None]


class Platform:
    """The settings of this process, and its cluster, which is connected to at the first use."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @classmethod
    def from_environment(cls) -> "Platform":
        """Reads the process's environment; a wrong one ends the process with a sentence a variable."""
        log_to_stderr()
        try:
            return cls(Settings.from_environment(os.environ))
        except SettingsError as error:
            raise SystemExit(f"cannot start: {error}") from None

    @cached_property
    def context(self) -> Context:
        """The context of all handlers of this process."""
        return Context(Cluster(connect(), self.settings.namespace), self.settings, lambda: datetime.now(UTC))


class Endpoint:
    """One function: the event types it takes, the handler that carries them out."""

    def __init__(self, platform: Platform, handler: Handler, *accepted: EventType) -> None:
        self._platform = platform
        self._handler = handler
        self._accepted = accepted

    @classmethod
    def from_environment(cls, handler: Handler, *accepted: EventType) -> "Endpoint":
        """The endpoint of this process."""
        return cls(Platform.from_environment(), handler, *accepted)

    def __call__(self, request: Request) -> Response:
        """Answers one request; every failure is a status and a sentence."""
        if request.method == "GET" and request.path == "/health":
            return Response(status=204)
        return answer(lambda: reply(self._handler(self._read(request), self._platform.context)), request)

    def _read(self, request: Request) -> Event[Any]:
        if request.method != "POST":
            raise MethodNotAllowed("events come by POST")
        body = read_body(request, self._platform.settings.max_event_bytes)
        return read_event(read_headers(request), body, self._accepted, datetime.now(UTC))
