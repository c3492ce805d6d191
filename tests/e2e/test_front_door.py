"""BigPanDA's way in, as BigPanDA uses it: from outside, over HTTP, with a bearer token."""

import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from support.laptop import Laptop, hour_ago, make_request, processes_with, running_laptop, until


class Door:
    """The front door of a platform, with its token."""

    def __init__(self, laptop: Laptop, token: str) -> None:
        self.laptop = laptop
        host = laptop.url("front").removeprefix("http://")
        self.headers = {"Host": host, "Authorization": f"Bearer {token}"}

    def send(self, prefer: str = "", **event: Any) -> requests.Response:
        headers, body = make_request(**event)
        wanted = {"Prefer": prefer} if prefer else {}
        return requests.post(self.laptop.ingress, headers={**headers, **self.headers, **wanted}, data=body, timeout=120)

    def ask(self, task: int) -> requests.Response:
        return requests.get(f"{self.laptop.ingress}/tasks/{task}", headers=self.headers, timeout=60)


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    state: Path = tmp_path_factory.mktemp("state")
    with running_laptop(state, "--idle-window", "60s") as laptop:
        yield Door(laptop, (state / "front-token").read_text())


def test_an_event_is_accepted_and_its_outcome_can_be_asked_for(door: Door) -> None:
    assert door.ask(1).status_code == 404
    answer = door.send(jeditaskid=1)
    assert (answer.status_code, answer.headers["Location"], answer.content) == (202, "/tasks/1", b"")
    ready = until(lambda: (found := door.ask(1).json())["state"] == "ready" and found, 60, "task 1 is ready")
    assert set(ready) == {"jeditaskid", "state", "url", "expires_at"}
    assert ready["url"] == door.laptop.url("task-1")


def test_who_prefers_to_wait_gets_the_outcome(door: Door) -> None:
    now = datetime.now(UTC)
    answer = door.send("wait=60", jeditaskid=2, at=now, identity="w1", lifetime="PT3H")
    assert (answer.status_code, answer.headers["ce-type"]) == (200, "ch.cern.bigpanda.service.ready")
    assert answer.headers["Preference-Applied"] == "wait=60"
    assert datetime.fromisoformat(answer.json()["expires_at"]) == now + timedelta(hours=3)
    gone = door.send("wait=60", kind="release", data={"jeditaskid": 2})
    assert gone.json() == {"jeditaskid": 2, "reason": "released"}
    assert door.ask(2).json()["state"] == "released"
    late = door.send("wait=60", jeditaskid=2, at=hour_ago(), lifetime="PT3H")
    assert late.headers["ce-type"] == "ch.cern.bigpanda.service.failed"
    assert "released" in late.json()["reason"]


@pytest.mark.parametrize("token", ["", "Bearer", "Bearer wrong", "Basic Zm9v"])
def test_without_its_token_nobody_gets_in(door: Door, token: str) -> None:
    headers, body = make_request(jeditaskid=3)
    headers |= {"Host": door.headers["Host"], **({"Authorization": token} if token else {})}
    for answer in (
        requests.post(door.laptop.ingress, headers=headers, data=body, timeout=60),
        requests.get(f"{door.laptop.ingress}/tasks/3", headers=headers, timeout=60),
    ):
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert door.ask(3).status_code == 404


@pytest.mark.parametrize(
    ("field", "status", "event"),
    [
        ("data.image", 422, {"kind": "ch.cern.bigpanda.image.published"}),
        ("type", 422, {"kind": "dev.knative.sources.ping"}),
        ("type", 422, {"kind": "ch.cern.bigpanda.service.ready"}),
        ("data.artifacts[0]", 422, {"artifacts": ["s3://elsewhere/"]}),
        ("data.lifetime", 422, {"lifetime": "P99D"}),
        ("body", 413, {"owner": "x" * 100_000}),
    ],
)
def test_what_outsiders_may_not_send_is_refused_at_the_door(
    door: Door, field: str, status: int, event: dict[str, Any]
) -> None:
    answer = door.send(**{"jeditaskid": 4, **event})
    assert (answer.status_code, answer.json()["field"]) == (status, field)
    assert door.ask(4).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/", 405), ("POST", "/tasks/1", 405), ("GET", "/x", 404)]
)
def test_other_paths_and_methods_are_refused(door: Door, method: str, path: str, status: int) -> None:
    answer = requests.request(method, f"{door.laptop.ingress}{path}", headers=door.headers, timeout=60)
    assert answer.status_code == status
    assert answer.json()["error"]


def test_what_was_accepted_survives_the_function_that_works_on_it(door: Door) -> None:
    for worker in processes_with("K_SERVICE=visualize", door.laptop.process.pid):
        os.kill(worker, signal.SIGKILL)
    assert door.send(jeditaskid=5).status_code == 202
    until(lambda: door.ask(5).json()["state"] == "ready", 60, "task 5 is ready")
