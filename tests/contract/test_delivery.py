"""Events through a Broker: who gets them and how they look there, what is tried again, what comes back."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from contract.delivery import BRISK, Station, carried, make_headers, paths_of
from contract.kit import TRIGGERS, Object, answered, eventually

JSON = {"content-type": "application/json"}
STRUCTURED = {"content-type": "application/cloudevents+json"}


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        (make_headers(type="nobody.wants.it"), 202),
        (make_headers(specversion="0.3", type="nobody.wants.it"), 202),
        (make_headers(id=""), 400),
        (make_headers(source=""), 400),
        (make_headers(type=""), 400),
        (make_headers(specversion=""), 400),
        (make_headers(specversion="2.0"), 400),
        (make_headers(time="yesterday"), 400),
        (make_headers(**{"bad-name": "x"}), 400),
        (make_headers(knativebrokerttl="1"), 400),
        (JSON, 400),
        (STRUCTURED, 400),
        ({"content-type": "application/cloudevents-batch+json"}, 400),
    ],
)
def test_what_a_broker_takes(station: Station, headers: Mapping[str, str], code: int) -> None:
    assert station.post(headers, b"{}").status_code == code


def test_the_doors_of_a_broker(station: Station) -> None:
    event, broker = make_headers(type="nobody.wants.it"), station.broker
    assert station.post(event, to=f"{broker}/").status_code == 202
    assert station.post(event, to=broker.removesuffix("/default")).status_code == 400
    assert station.post(event, to=broker.removesuffix(f"{station.home.namespace}/default")).status_code == 404
    assert station.post(event, method="GET").status_code == 405
    assert station.post(event, method="OPTIONS").status_code == 200
    # 400 before Eventing 1.17, 404 since.
    assert station.post(event, to=broker.replace("/default", "/nobody")).status_code in {400, 404}


def test_an_event_arrives_as_it_was_sent(station: Station) -> None:
    station.subscribe("/204/whole", {"type": "whole"})
    more = {"subject": "gr%C3%BC%C3%9Fe 100%", "dataschema": "http://example.org/s", "mine": "X y"}
    identity = station.publish("whole", time="2026-01-02T03:04:05.120+01:00", **more)
    (event,) = station.await_paths(identity, "/204/whole")
    sent = make_headers(id=identity, type="whole", time="2026-01-02T02:04:05.12Z", **more)
    assert carried(event) == sent | JSON
    assert json.loads(event["body"]) == {"a": 1}
    told = {name: event["headers"].get(name) for name in ("prefer", "kn-namespace", "host")}
    host = station.url("").removeprefix("http://")
    assert told == {"prefer": "reply", "kn-namespace": station.home.namespace, "host": host}
    assert event["headers"]["ce-knativearrivaltime"].endswith("Z")


@pytest.mark.parametrize(
    ("more", "headers", "body"),
    [
        ({}, {}, ""),
        ({"data": {"b": [1, 2]}}, {}, '{"b": [1, 2]}'),
        ({"datacontenttype": "application/json", "data": "text"}, JSON, '"text"'),
        ({"datacontenttype": "text/plain", "data": "words"}, {"content-type": "text/plain"}, "words"),
        ({"datacontenttype": "text/css", "data_base64": "d29yZHM="}, {"content-type": "text/css"}, "words"),
        ({"number": 3, "yes": True, "mine": "x"}, {"ce-number": "3", "ce-yes": "true", "ce-mine": "x"}, ""),
        ({"subject": 'größe "x" 100%'}, {"ce-subject": 'größe "x" 100%'.encode().decode("latin-1")}, ""),
    ],
)
def test_structured_in_binary_out(station: Station, more: Object, headers: dict[str, str], body: str) -> None:
    identity = station.make_id()
    station.subscribe("/204/structured", {"id": identity})
    event = {"specversion": "1.0", "id": identity, "source": "/contract", "type": "structured"} | more
    assert station.post(STRUCTURED, json.dumps(event).encode()).status_code == 202
    (found,) = station.await_paths(identity, "/204/structured")
    assert carried(found) == make_headers(id=identity, type="structured") | headers
    assert found["body"].strip() == body


def test_filters_are_exact(station: Station) -> None:
    station.subscribe("/204/any", {"source": "/filtered"})
    station.subscribe("/204/exact", {"source": "/filtered", "type": "wanted", "mine": ""})
    others = [
        station.publish("wanted", source="/filtered"),
        station.publish("wanted.not", source="/filtered", mine="1"),
        station.publish("wanted", source="/filtered/not", mine="1"),
    ]
    identity = station.publish("wanted", source="/filtered", mine="2")
    station.await_paths(identity, "/204/any", "/204/exact")
    for other in others[:2]:
        assert paths_of(station.await_paths(other, "/204/any")) == ["/204/any"]
    assert station.events(others[2]) == []


@pytest.mark.parametrize(
    ("filters", "taken"),
    [
        ([{"exact": {"type": "a.b", "mine": "1"}}], {"first"}),
        ([{"prefix": {"type": "a."}}], {"first", "second"}),
        ([{"suffix": {"type": ".c"}}], {"second"}),
        ([{"not": {"exact": {"mine": "1"}}}], {"second"}),
        ([{"any": [{"exact": {"mine": "1"}}, {"suffix": {"type": ".c"}}]}], {"first", "second"}),
        ([{"all": [{"exact": {"mine": "1"}}, {"suffix": {"type": ".c"}}]}], set()),
        ([{"exact": {"mine": "1"}}, {"prefix": {"type": "a."}}], {"first"}),
    ],
)
def test_filters_that_say_more(station: Station, filters: list[Any], taken: set[str]) -> None:
    source, name = f"/{station.make_id()}", station.make_id()
    station.subscribe("/204/all", {"source": source})
    # What `filter` says does not count where there are `filters`.
    mine = [{"exact": {"source": source}}, *filters]
    station.subscribe(f"/204/{name}", {"type": "never"}, filters=mine)
    first = station.publish("a.b", source=source, mine="1")
    second = station.publish("a.c", source=source)
    for identity, label in ((first, "first"), (second, "second")):
        wanted = ["/204/all"] + [f"/204/{name}"] * (label in taken)
        assert sorted(paths_of(station.await_paths(identity, *wanted))) == sorted(wanted)


def test_each_trigger_gets_one_copy(station: Station) -> None:
    station.subscribe("/204/one", {"type": "shared"})
    station.subscribe("/204/two", {"type": "shared"})
    identities = [station.publish("shared") for _ in range(3)]
    for identity in identities:
        found = station.await_paths(identity, "/204/one", "/204/two")
        assert sorted(paths_of(found)) == ["/204/one", "/204/two"]


def test_a_trigger_that_changes(station: Station) -> None:
    kind, other = station.make_id(), station.make_id()
    station.subscribe("/204/kept", {"type": kind})
    name = station.subscribe("/204/changed", {"type": kind})
    station.await_paths(station.publish(kind), "/204/kept", "/204/changed")
    answered(station.home.patch(TRIGGERS, name, {"spec": {"filter": {"attributes": {"type": other}}}}), 200)
    eventually(lambda: paths_of(station.await_paths(station.publish(kind), "/204/kept")) == ["/204/kept"])
    station.await_paths(station.publish(other), "/204/changed")


@pytest.mark.parametrize("code", [404, 408, 409, 429, 500, 502, 503])
def test_a_passing_fault_is_tried_again(station: Station, code: int) -> None:
    kind = f"passing.{code}"
    # More than are wanted: a Trigger may be Ready before its filter has heard of it, which says 404 until then.
    station.subscribe(f"/{code}-{code}-204/passing", {"type": kind}, delivery={"retry": 10} | BRISK)
    identity = station.publish(kind)
    first, *others = station.await_paths(identity, *[f"/{code}-{code}-204/passing"] * 3)
    assert [carried(one) for one in others] == [carried(first)] * 2
    assert [one["body"] for one in others] == [first["body"]] * 2


@pytest.mark.parametrize("answer", ["200", "202", "204"])
def test_a_quiet_answer_is_the_end(station: Station, answer: str) -> None:
    source, path = f"/{station.make_id()}", f"/{answer}/quiet"
    station.subscribe(
        path, {"source": source}, delivery={"retry": 3, "deadLetterSink": station.at("/204/dead")} | BRISK
    )
    identity = station.publish("quiet", source=source)
    station.await_paths(identity, path)
    station.await_paths(station.publish("after", source=source), path)
    assert paths_of(station.events(identity)) == [path]


def test_a_reply_is_a_new_event(station: Station) -> None:
    station.subscribe("/reply/question", {"type": "question"})
    station.subscribe("/reply/answer", {"type": "question.answered"})
    station.subscribe("/204/end", {"type": "question.answered.answered"})
    identity = station.publish("question", mine="x")
    (event,) = station.await_paths(f"re-{identity}", "/reply/answer")
    reply = {"id": f"re-{identity}", "source": "/receiver", "type": "question.answered"}
    assert carried(event) == make_headers(**reply) | JSON
    assert event["body"] == '{"answer": 42}'
    (event,) = station.await_paths(f"re-re-{identity}", "/204/end")
    assert event["headers"]["ce-type"] == "question.answered.answered"
