"""The way in for BigPanDA, which stands outside the cluster: checks an event, gives it to the broker, says what came of
it.

Promises: a 2xx means that the broker has the event: it has said so, or what came of the event is there to see. What is
refused was not sent. Only those types pass that the token's owner may send: BigPANDA asks for tasks' pages, operators
roll out images too. With `Prefer: wait=<seconds>` (RFC 7240) the answer
is the outcome, if there is one in that time; otherwise 202.

    POST /                      an event → 202, or the outcome as a CloudEvent
    GET  /tasks/<jeditaskid>    state, URL and expiry, or the reason why not
"""

import json
import logging
import re
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, Final

from flask import Request, Response

from bigpanda_mlflow.answers import answer, read_body, read_headers, reply
from bigpanda_mlflow.bearer import Role, check_bearer
from bigpanda_mlflow.cluster import FAILURE_GRACE_SECONDS
from bigpanda_mlflow.context import Context
from bigpanda_mlflow.endpoint import Platform
from bigpanda_mlflow.errors import Forbidden, MethodNotAllowed, NotFound
from bigpanda_mlflow.events import (
    Event,
    EventType,
    Outcome,
    Release,
    Results,
    ServiceExpired,
    ServiceFailed,
    ServiceReady,
    Visualize,
)
from bigpanda_mlflow.policy import check_request
from bigpanda_mlflow.sink import forward
from bigpanda_mlflow.taskstatus import TaskState, TaskStatus, read_status
from bigpanda_mlflow.waiting import wait_for_outcome
from bigpanda_mlflow.wire import read_event

log = logging.getLogger(__name__)

ACCEPTED: Final = (EventType.VISUALIZE, EventType.RESULTS, EventType.RELEASE)
OF_OPERATORS: Final = (EventType.IMAGE_PUBLISHED, EventType.ROLLOUT_COMMAND)
MOST_SECONDS: Final = 60.0
_AT_ONCE: Final = 128
"""Events on their way to the broker: more than gunicorn has threads, since some callers are answered sooner."""
_TASK: Final = re.compile(r"/tasks/([1-9][0-9]{0,9})", re.ASCII)
_WAIT: Final = re.compile(r"(?:^|[,;\s])wait=([0-9]{1,5})(?:$|[,;\s])", re.ASCII)
_PASSED_ON: Final = re.compile(r"ce-[a-z0-9]+|content-type", re.ASCII)


class FrontDoor:
    """The one function that the world outside may call."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._couriers = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="courier")

    @classmethod
    def from_environment(cls) -> "FrontDoor":
        """The front door of this process, which ends with a sentence where it has no token or no broker."""
        platform = Platform.from_environment()
        if not platform.settings.front_tokens or platform.settings.sink is None:
            raise SystemExit("cannot start: BIGPANDA_FRONT_TOKENS and K_SINK are required here")
        if set(platform.settings.front_tokens) & set(platform.settings.ops_tokens):
            raise SystemExit("cannot start: a token of BIGPANDA_OPS_TOKENS is one of BIGPANDA_FRONT_TOKENS too")
        return cls(platform)

    def __call__(self, request: Request) -> Response:
        """Answers one request; every failure is a status and a sentence."""
        if request.method == "GET" and request.path == "/health":
            return Response(status=204)
        response = answer(lambda: self._open(request), request)
        if response.status_code == 401:
            response.headers["WWW-Authenticate"] = "Bearer"
        return response

    def _open(self, request: Request) -> Response:
        settings = self._platform.settings
        tokens = {Role.BIGPANDA: settings.front_tokens, Role.OPS: settings.ops_tokens}
        role = check_bearer(request.headers.get("Authorization", ""), tokens)
        task = _TASK.fullmatch(request.path)
        if task is None and request.path != "/":
            raise NotFound("there are / and /tasks/<jeditaskid>")
        if request.method != ("POST" if task is None else "GET"):
            raise MethodNotAllowed("events come by POST to /, and /tasks/<jeditaskid> answers to GET")
        return self._take(request, role) if task is None else self._tell(int(task[1]))

    def _tell(self, jeditaskid: int) -> Response:
        status = _look(jeditaskid, self._platform.context)
        code = 404 if status.state is TaskState.UNKNOWN else 200
        return Response(json.dumps(status.as_json()), code, content_type="application/json")

    def _take(self, request: Request, role: Role) -> Response:
        settings = self._platform.settings
        body, headers = read_body(request, settings.max_event_bytes), read_headers(request)
        event = read_event(headers, body, ACCEPTED + OF_OPERATORS, datetime.now(UTC))
        if role is not Role.OPS and event.type in OF_OPERATORS:
            raise Forbidden("events of this type need an operator's token", "type")
        if isinstance(event.data, Visualize | Results):
            check_request(event.data, settings)
        # Not the caller's Authorization: it opens this door, and is nobody else's business.
        passed_on = {name: headers[name] for name in headers if _PASSED_ON.fullmatch(name.lower())}
        confirmed = self._couriers.submit(forward, settings, passed_on, body)
        confirmed.add_done_callback(_note_refusal)
        seconds = read_wait(request.headers.get("Prefer", ""))
        looking = seconds if isinstance(event.data, Visualize | Release) else 0.0
        outcome = wait_for_outcome(confirmed, self._make_look(event, confirmed), looking)
        response = Response(status=202) if outcome is None else reply(outcome)
        if event.type in ACCEPTED:
            response.headers["Location"] = f"/tasks/{event.data.jeditaskid}"
        if seconds:
            response.headers["Preference-Applied"] = f"wait={seconds:.0f}"
        return response

    def _make_look(self, event: Event[Any], confirmed: "Future[None]") -> Callable[[], Outcome | None]:
        failing_since: float | None = None

        def look() -> Outcome | None:
            nonlocal failing_since
            context, now = self._platform.context, time.monotonic()
            status = _look(event.data.jeditaskid, context)
            failing_since = (failing_since or now) if status.state is TaskState.FAILED else None
            lasting = failing_since is None or now - failing_since >= FAILURE_GRACE_SECONDS
            # What a newer event made of the task does not tell whether the broker has this one.
            known = status.last == event.key or confirmed.done()
            return read_outcome(event, status, context.now()) if lasting and known else None

        return look


def read_wait(prefer: str) -> float:
    """Seconds that a `Prefer` header asks to wait, at most MOST_SECONDS; 0 where it does not."""
    found = _WAIT.search(prefer)
    return 0.0 if found is None else min(float(found[1]), MOST_SECONDS)


def read_outcome(event: Event[Any], status: TaskStatus, now: datetime) -> Outcome | None:
    """What came of an event, once the status knows it or a newer one; None while that is open. Pure."""
    if status.last is None or status.last < event.key:
        return None
    task, identity = status.jeditaskid, event.key.id
    if not isinstance(event.data, Visualize):
        if status.state in (TaskState.EXPIRED, TaskState.RELEASED):
            return Outcome(EventType.EXPIRED, f"{identity}:expired", now, _gone(status))
        return None
    if status.state is TaskState.READY and status.url and status.expires_at:
        data = ServiceReady(jeditaskid=task, url=status.url, expires_at=status.expires_at)
        return Outcome(EventType.READY, f"{identity}:ready", now, data)
    if status.state is TaskState.PENDING:
        return None
    reason = status.reason or "no reason given"
    return Outcome(EventType.FAILED, f"{identity}:failed", now, ServiceFailed(jeditaskid=task, reason=reason))


def _gone(status: TaskStatus) -> ServiceExpired:
    return ServiceExpired(
        jeditaskid=status.jeditaskid, reason="released" if status.state is TaskState.RELEASED else "expired"
    )


def _look(jeditaskid: int, context: Context) -> TaskStatus:
    return read_status(jeditaskid, context.read(jeditaskid), context.settings)


def _note_refusal(confirmed: "Future[None]") -> None:
    # Whoever still waits is told; whoever was answered with the outcome needs to know no more, but an operator may.
    if (error := confirmed.exception()) is not None:
        log.warning("an event was not taken: %s", error)
