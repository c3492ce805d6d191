"""Events as a retrying, reordering broker and a busy BigPanDA send them."""

import json
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from support.laptop import Laptop, expires_at, make_request, running_laptop, until


@pytest.fixture(scope="module")
def laptop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laptop]:
    with running_laptop(tmp_path_factory.mktemp("state"), "--idle-window", "60s") as platform:
        yield platform


@pytest.mark.parametrize("way", ["direct", "broker"])
def test_one_event_a_hundred_times_among_older_ones(laptop: Laptop, way: str) -> None:
    task = {"direct": 41, "broker": 42}[way]
    now = datetime.now(UTC)
    newest = {"at": now, "identity": "newest", "jeditaskid": task, "lifetime": "PT5H"}
    older = [
        {"at": now - timedelta(minutes=n), "identity": f"old{n}", "jeditaskid": task, "lifetime": "P2D"}
        for n in range(1, 21)
    ]
    deliveries: list[dict[str, Any]] = [newest] * 100 + older
    random.Random(0).shuffle(deliveries)
    send = laptop.publish if way == "broker" else lambda **event: laptop.call("visualize", **event)
    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(lambda event: send(**event), deliveries))
    assert {answer.status_code for answer in answers} == {202 if way == "broker" else 200}

    def settled() -> bool:
        service = laptop.service(f"task-{task}")
        return service is not None and expires_at(service) == now + timedelta(hours=5)

    until(settled, 120, "the newest event has decided")
    assert laptop.revisions(f"task-{task}") == [f"task-{task}-00001"]


def refused(laptop: Laptop, answer: requests.Response, status: int, field: str, task: int) -> None:
    assert (answer.status_code, answer.json().get("field")) == (status, field)
    assert laptop.service(f"task-{task}") is None


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("data.jeditaskid", {"jeditaskid": -1}),
        ("data.lifetime", {"lifetime": "P31D"}),
        ("data.artifacts[0]", {"artifacts": ["s3://elsewhere/x/"]}),
        ("data.artifacts[0]", {"artifacts": ["file:///etc/passwd"]}),
        ("data.artifacts[0]", {"artifacts": ["s3://panda/../snapshots/"]}),
        ("data.owner", {"owner": "x\r\nSet-Cookie: a=b"}),
        ("time", {"at": datetime(2100, 1, 1, tzinfo=UTC)}),
        ("type", {"kind": "release"}),
    ],
)
def test_a_bad_event_is_refused_by_field_and_makes_nothing(laptop: Laptop, field: str, changes: dict[str, Any]) -> None:
    event = {"jeditaskid": 77, **changes}
    refused(laptop, laptop.call("visualize", **event), 422, field, 77)


def test_an_oversize_body_is_refused_with_and_without_its_length(laptop: Laptop) -> None:
    headers, _ = make_request()
    headers["Host"] = "visualize.bigpanda.svc.cluster.local"
    body = json.dumps({"jeditaskid": 77, "owner": "x" * 3_000_000}).encode()
    chunks = (body[start : start + 10_000] for start in range(0, len(body), 10_000))
    for data in (body, chunks):
        answer = requests.post(f"{laptop.internal}/", headers=headers, data=data, timeout=30)
        refused(laptop, answer, 413, "body", 77)


def test_what_is_no_event_is_refused(laptop: Laptop) -> None:
    headers = {"Host": "visualize.bigpanda.svc.cluster.local"}
    for method, status in (("POST", 400), ("GET", 405), ("PUT", 405)):
        answer = requests.request(method, f"{laptop.internal}/", headers=headers, data=b"hello", timeout=30)
        assert answer.status_code == status
        assert answer.json()["error"]


def test_an_event_without_time_is_refused_though_it_is_whole_otherwise(laptop: Laptop) -> None:
    headers, body = make_request(jeditaskid=77)
    del headers["ce-time"]
    headers["Host"] = "visualize.bigpanda.svc.cluster.local"
    refused(laptop, requests.post(f"{laptop.internal}/", headers=headers, data=body, timeout=30), 400, "time", 77)
