"""What the front door decides, apart from HTTP."""

from concurrent.futures import Future
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Request
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from werkzeug.test import create_environ

from bigpanda_mlflow.bearer import Role, check_bearer
from bigpanda_mlflow.endpoint import Platform
from bigpanda_mlflow.errors import Unauthorized
from bigpanda_mlflow.events import Event, EventKey, EventType, Release, ServiceExpired, ServiceFailed, ServiceReady
from bigpanda_mlflow.frontdoor import MOST_SECONDS, FrontDoor, read_outcome, read_wait
from bigpanda_mlflow.resources import make_service
from bigpanda_mlflow.settings import Settings
from bigpanda_mlflow.taskservice import read_service
from bigpanda_mlflow.taskstatus import TaskState, TaskStatus
from bigpanda_mlflow.visualization import Situation
from support.builders import ENVIRONMENT, NOW, SETTINGS, TASK, stored, visualize_event
from support.laptop import make_request
from support.sink import Sink

TOKENS = (SecretStr("current"), SecretStr("next"))
OWNERS = {Role.BIGPANDA: TOKENS, Role.OPS: (SecretStr("operator"),)}
EVENT = visualize_event()
OLDER = EventKey(NOW - timedelta(hours=1), "e0")
URL = "https://task-30456789.mlflow.example"


@pytest.mark.parametrize("header", ["Bearer current", "bearer next", "Bearer  current "])
def test_both_tokens_of_a_rotation_open(header: str) -> None:
    assert check_bearer(header, OWNERS) is Role.BIGPANDA


def test_a_token_tells_whose_it_is() -> None:
    assert check_bearer("Bearer operator", OWNERS) is Role.OPS


@given(st.text())
def test_nothing_else_does(header: str) -> None:
    with pytest.raises(Unauthorized):
        check_bearer(header, OWNERS)


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "current", "Basic current", "Bearer current next"])
def test_near_misses_do_not(header: str) -> None:
    with pytest.raises(Unauthorized):
        check_bearer(header, OWNERS)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", 0),
        ("wait=10", 10),
        ("respond-async, wait=5", 5),
        ("wait=99999", MOST_SECONDS),
        ("wait=-1", 0),
        ("wait=soon", 0),
        ("awaits=5", 0),
    ],
)
def test_what_prefer_asks_for(header: str, seconds: float) -> None:
    assert read_wait(header) == seconds


def status(state: TaskState, last: EventKey | None = EVENT.key, **fields: Any) -> TaskStatus:
    return TaskStatus(TASK, state, last=last, **fields)


READY = status(TaskState.READY, url=URL, expires_at=NOW)
RELEASE = Event(EVENT.key, EventType.RELEASE, Release(jeditaskid=TASK))


@pytest.mark.parametrize(
    ("event", "found", "expected"),
    [
        (EVENT, READY, ServiceReady(jeditaskid=TASK, url=URL, expires_at=NOW)),
        (EVENT, status(TaskState.READY, OLDER, url=URL, expires_at=NOW), None),
        (EVENT, status(TaskState.PENDING), None),
        (EVENT, status(TaskState.UNKNOWN, None), None),
        (EVENT, status(TaskState.FAILED, reason="no image"), ServiceFailed(jeditaskid=TASK, reason="no image")),
        (EVENT, status(TaskState.RELEASED, reason="gone"), ServiceFailed(jeditaskid=TASK, reason="gone")),
        (RELEASE, status(TaskState.RELEASED), ServiceExpired(jeditaskid=TASK, reason="released")),
        (RELEASE, READY, None),
    ],
)
def test_the_outcome_is_that_of_this_event_or_a_newer_one(event: Any, found: TaskStatus, expected: Any) -> None:
    outcome = read_outcome(event, found, NOW)
    assert (None if outcome is None else outcome.data) == expected


def test_what_the_broker_has_not_taken_is_never_called_accepted() -> None:
    nowhere = SETTINGS.model_copy(update={"sink": "http://127.0.0.1:1/", "front_tokens": TOKENS})
    headers, body = make_request(artifacts=["s3://panda/hpo/1/"])
    environ = create_environ(method="POST", headers={**headers, "Authorization": "Bearer next"}, data=body)
    answer = FrontDoor(Platform(nowhere))(Request(environ))
    assert answer.status_code == 503
    assert "broker" in answer.get_data(as_text=True)


@pytest.mark.parametrize(("at", "expected"), [(NOW - timedelta(hours=1), False), (NOW, True)])
def test_only_what_came_of_this_very_event_speaks_for_the_broker(at: datetime, expected: bool) -> None:
    standing = make_service(EVENT, SETTINGS)
    standing["status"] = {"conditions": [{"type": "Ready", "status": "True"}]}
    situation = Situation(standing, read_service(stored(standing)), None)

    class Context:
        settings = SETTINGS
        now = staticmethod(lambda: NOW)
        read = staticmethod(lambda _: situation)

    platform = Platform(SETTINGS)
    platform.__dict__["context"] = Context
    unconfirmed: Future[None] = Future()
    look = FrontDoor(platform)._make_look(visualize_event(at, "e1"), unconfirmed)
    assert (look() is not None) == expected
    unconfirmed.set_result(None)
    assert look() is not None


@pytest.mark.parametrize("own", [None, "own.token.file"])
def test_the_callers_token_stays_at_the_door(tmp_path: Path, own: str | None) -> None:
    file = tmp_path / "token"
    file.write_text(own or "")
    sink = Sink()
    door = {"sink": sink.url, "front_tokens": TOKENS, "sink_token_file": str(file) if own else None}
    headers, body = make_request("results", data={"jeditaskid": 1})
    headers |= {"Authorization": "Bearer next", "Cookie": "a=b", "Proxy-Authorization": "Bearer next"}
    environ = create_environ(method="POST", headers=headers, data=body)
    answer = FrontDoor(Platform(SETTINGS.model_copy(update=door)))(Request(environ))
    sink.close()
    assert answer.status_code == 202
    (passed,) = sink.headers
    assert passed.get("authorization") == (f"Bearer {own}" if own else None)
    assert "next" not in repr(passed)
    assert "cookie" not in passed
    assert passed["ce-id"] == headers["ce-id"]


COMMAND = {"command": "pause"}
IMAGE = {"image": "registry.example/mlflow@sha256:" + "1" * 64, "version": "3.18.0"}


@pytest.mark.parametrize(
    ("token", "kind", "data", "status"),
    [
        ("operator", "ch.cern.bigpanda.rollout.command", COMMAND, 202),
        ("operator", "ch.cern.bigpanda.image.published", IMAGE, 202),
        ("operator", "ch.cern.bigpanda.task.results", {"jeditaskid": 1}, 202),
        ("next", "ch.cern.bigpanda.rollout.command", COMMAND, 403),
        ("next", "ch.cern.bigpanda.image.published", IMAGE, 403),
        ("wrong", "ch.cern.bigpanda.rollout.command", COMMAND, 401),
    ],
)
def test_only_operators_roll_out_images(token: str, kind: str, data: dict[str, Any], status: int) -> None:
    sink = Sink()
    door = {"sink": sink.url, "front_tokens": TOKENS, "ops_tokens": OWNERS[Role.OPS]}
    headers, body = make_request(kind, data=data)
    environ = create_environ(method="POST", headers={**headers, "Authorization": f"Bearer {token}"}, data=body)
    answer = FrontDoor(Platform(SETTINGS.model_copy(update=door)))(Request(environ))
    sink.close()
    assert answer.status_code == status
    assert len(sink.taken) == (1 if status == 202 else 0)
    assert ("Location" in answer.headers) == ("results" in kind)


def test_a_token_of_both_is_no_start(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = {"BIGPANDA_FRONT_TOKENS": "a,b", "BIGPANDA_OPS_TOKENS": "b", "K_SINK": "http://127.0.0.1:1/"}
    for name, value in {**ENVIRONMENT, **tokens}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match="BIGPANDA_OPS_TOKENS"):
        FrontDoor.from_environment()


def test_tokens_never_show() -> None:
    settings = Settings.from_environment({**ENVIRONMENT, "BIGPANDA_FRONT_TOKENS": "hunter2,hunter3"})
    assert [token.get_secret_value() for token in settings.front_tokens] == ["hunter2", "hunter3"]
    assert "hunter" not in repr(settings)
