"""Brokers, Triggers and PingSources over real HTTP, with real receivers that sleep until an event comes."""

import base64
import json
from typing import Any

import httpx
import pytest

from embedded.kit import Cluster, condition, eventing, eventually, ready

EVENT = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/test", "ce-type": "t"}
FAST = {"retry": 2, "backoffPolicy": "linear", "backoffDelay": "PT0.01S"}


@pytest.fixture(scope="module")
def receiving(cluster: Cluster) -> Cluster:
    cluster.serve("receiver", image="test/receiver", annotations={"autoscaling.knative.dev/initial-scale": "0"})
    cluster.create(eventing("brokers"), {"metadata": {"name": "main"}, "spec": {}})
    eventually(lambda: ready(cluster.get(f"{eventing('brokers')}/main")))
    return cluster


def subscriber(path: str = "") -> dict[str, Any]:
    reference = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "receiver"}
    return {"ref": reference, "uri": path} if path else {"ref": reference}


def make_trigger(name: str, path: str, delivery: dict[str, Any] | None = None, **attributes: str) -> dict[str, Any]:
    spec = {"broker": "main", "filter": {"attributes": attributes}, "subscriber": subscriber(path)}
    return {"metadata": {"name": name}, "spec": {**spec, **({"delivery": delivery} if delivery else {})}}


def send(cluster: Cluster, **attributes: str) -> httpx.Response:
    headers = {**EVENT, "content-type": "application/json", **{f"ce-{key}": value for key, value in attributes.items()}}
    return cluster.internal.post("/default/main", headers=headers, content=b'{"a": 1}')


def received(cluster: Cluster, kind: str, count: int = 1) -> list[dict[str, Any]]:
    def look() -> list[dict[str, Any]] | None:
        found = [one for one in cluster.received if one["headers"].get("ce-type") == kind]
        return found if len(found) >= count else None

    return eventually(look)


def test_an_event_wakes_its_subscriber(receiving: Cluster) -> None:
    made = receiving.create(eventing("triggers"), make_trigger("plain", "/plain", type="plain"))
    assert made["metadata"]["labels"] == {"eventing.knative.dev/broker": "main"}
    found = eventually(lambda: ready(receiving.get(f"{eventing('triggers')}/plain")))
    assert found["status"]["subscriberUri"] == "http://receiver.default.svc.cluster.local/plain"
    assert send(receiving, type="plain", subject="gr%C3%BC%C3%9Fe", mine="x").status_code == 202
    (one,) = received(receiving, "plain")
    headers = one["headers"]
    assert (one["path"], one["body"], headers["content-type"]) == ("/plain", '{"a": 1}', "application/json")
    assert headers["ce-subject"] == "gr%C3%BC%C3%9Fe"
    assert headers["ce-mine"] == "x"
    assert headers["ce-knativearrivaltime"]
    assert headers["host"] == "receiver.default.svc.cluster.local"


def test_structured_events_arrive_in_binary_mode(receiving: Cluster) -> None:
    receiving.create(eventing("triggers"), make_trigger("structured", "/s", type="structured"))
    event = {"specversion": "1.0", "id": "1", "source": "/x", "type": "structured", "number": 3, "data": {"b": 2}}
    headers = {"content-type": "application/cloudevents+json; charset=utf-8"}
    assert receiving.internal.post("/default/main", headers=headers, content=json.dumps(event)).status_code == 202
    (one,) = received(receiving, "structured")
    assert json.loads(one["body"]) == {"b": 2}
    assert one["headers"]["ce-number"] == "3"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"ce-id": None}, "attribute id is missing"),
        ({"ce-type": ""}, "attribute type is missing"),
        ({"ce-source": None}, "attribute source is missing"),
        ({"ce-specversion": None}, "attribute specversion is missing"),
        ({"ce-specversion": "0.2"}, "attribute specversion is '0.2'"),
        ({"ce-time": "yesterday"}, "attribute time is no RFC 3339 timestamp"),
        ({"ce-Bad-Name": "x"}, "attribute name 'bad-name'"),
        ({"ce-knativebrokerttl": "1"}, "attribute knativebrokerttl is used up"),
    ],
)
def test_what_is_no_event_is_refused(receiving: Cluster, change: dict[str, str | None], complaint: str) -> None:
    headers = {key: value for key, value in {**EVENT, **change}.items() if value is not None}
    answer = receiving.internal.post("/default/main", headers=headers)
    assert answer.status_code == 400
    assert complaint in answer.json()["error"]


def test_doors_of_the_brokers(receiving: Cluster) -> None:
    post = receiving.internal.post
    assert post("/default/nobody", headers=EVENT).status_code == 404
    assert post("/default", headers=EVENT).status_code == 400
    assert post("/", headers=EVENT).status_code == 404
    assert receiving.internal.get("/default/main").status_code == 405
    assert post("/default/main", headers=EVENT, content=b"x" * (1024 * 1024 + 1)).status_code == 413
    local = {**EVENT, "host": "broker-ingress.knative-eventing.svc.cluster.local"}
    assert post("/default/main", headers=local).status_code == 202
    assert post("/default/main", headers={**EVENT, "host": "evil.example"}).status_code == 404


def test_filters_are_exact(receiving: Cluster) -> None:
    receiving.create(eventing("triggers"), make_trigger("exact", "/exact", type="filtered", mine=""))
    for attributes in ({"type": "filtered"}, {"type": "filtered.not", "mine": "1"}, {"type": "filtered", "mine": "2"}):
        assert send(receiving, **attributes).status_code == 202
    (one,) = received(receiving, "filtered")
    assert one["headers"]["ce-mine"] == "2"
    assert [one for one in receiving.received if one["headers"]["ce-type"] == "filtered.not"] == []


def test_a_reply_is_a_new_event(receiving: Cluster) -> None:
    receiving.create(eventing("triggers"), make_trigger("asker", "/answer", type="question"))
    receiving.create(eventing("triggers"), make_trigger("listener", "/listen", type="question.answered"))
    assert send(receiving, type="question", id="q1").status_code == 202
    (one,) = received(receiving, "question.answered")
    assert (one["headers"]["ce-id"], one["headers"]["ce-source"], one["path"]) == ("r-q1", "/receiver", "/listen")


@pytest.mark.parametrize(
    ("path", "attempts", "code", "data"),
    [
        ("/status/503", 3, "503", b"because of that"),
        ("/status/404", 3, "404", b"because of that"),
        ("/status/400", 1, "400", b"because of that"),
    ],
)
def test_dead_letters_say_why(receiving: Cluster, path: str, attempts: int, code: str, data: bytes) -> None:
    name = f"dead-{code}"
    delivery = {**FAST, "deadLetterSink": subscriber(f"/dead/{name}")}
    receiving.create(eventing("triggers"), make_trigger(name, path, delivery, type=name))
    assert send(receiving, type=name).status_code == 202
    found = received(receiving, name, attempts + 1)
    assert [one["path"] for one in found] == [path] * attempts + [f"/dead/{name}"]
    headers = found[-1]["headers"]
    assert headers["ce-knativeerrordest"] == f"http://receiver.default.svc.cluster.local{path}"
    assert headers["ce-knativeerrorcode"] == code
    assert base64.b64decode(headers["ce-knativeerrordata"]) == data
    assert found[-1]["body"] == '{"a": 1}'


def test_a_trigger_says_what_it_lacks(receiving: Cluster) -> None:
    lonely = make_trigger("lonely", "/x")
    lonely["spec"]["broker"] = "absent"
    lonely["spec"]["subscriber"] = {"ref": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "no"}}
    receiving.create(eventing("triggers"), lonely)
    path = f"{eventing('triggers')}/lonely"
    eventually(lambda: condition(receiving.get(path), "Ready").get("status") == "False")
    found = receiving.get(path)
    assert condition(found, "BrokerReady")["message"] == 'Broker "absent" does not exist'
    assert 'services.serving.knative.dev "no" not found' in condition(found, "SubscriberResolved")["message"]


def test_ping_source(receiving: Cluster) -> None:
    sources = "/apis/sources.knative.dev/v1/namespaces/default/pingsources"
    spec = {
        "schedule": "* * * * * *",
        "timezone": "Europe/Zurich",
        "contentType": "application/json",
        "data": '{"tick": true}',
        "ceOverrides": {"extensions": {"mine": "x"}},
        "sink": subscriber("/ping"),
    }
    receiving.create(sources, {"metadata": {"name": "clock"}, "spec": spec})
    found = eventually(lambda: ready(receiving.get(f"{sources}/clock")))
    assert found["status"]["sinkUri"] == "http://receiver.default.svc.cluster.local/ping"
    one = received(receiving, "dev.knative.sources.ping", 2)[0]
    assert one["body"] == '{"tick": true}'
    assert one["headers"]["ce-source"] == "/apis/v1/namespaces/default/pingsources/clock"
    assert (one["headers"]["ce-mine"], one["headers"]["content-type"]) == ("x", "application/json")
    receiving.api.delete(f"{sources}/clock")


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ({"schedule": "@every 10s"}, "invalid value: unsupported descriptor @every: spec.schedule"),
        ({"schedule": "nonsense"}, "spec.schedule"),
        ({"timezone": "Nowhere/City"}, "provided bad location Nowhere/City"),
        ({"data": "a", "dataBase64": "YQ=="}, "expected exactly one, got both: spec.data, spec.dataBase64"),
        ({"sink": {}}, "expected at least one, got none: spec.sink.ref, spec.sink.uri"),
    ],
)
def test_ping_sources_are_validated(receiving: Cluster, spec: dict[str, Any], complaint: str) -> None:
    body = {"metadata": {"name": "bad"}, "spec": {"sink": {"uri": "http://x.example/"}, **spec}}
    answer = receiving.api.post("/apis/sources.knative.dev/v1/namespaces/default/pingsources", json=body)
    assert (answer.status_code, answer.json()["reason"]) == (400, "BadRequest")
    assert complaint in answer.json()["message"]


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ({"broker": ""}, "missing field(s): spec.broker"),
        ({"subscriber": {}}, "expected at least one, got none: spec.subscriber.ref, spec.subscriber.uri"),
        (
            {"filter": {"attributes": {"Bad-Name": "x"}}},
            'invalid key name "Bad-Name": spec.filter.attributes[Bad-Name]',
        ),
        ({"filters": [{"cesql": "type = 'x'"}]}, "spec.filters[0].cesql"),
        ({"delivery": {"backoffDelay": "soon"}}, "invalid value: soon: spec.delivery.backoffDelay"),
    ],
)
def test_triggers_are_validated(receiving: Cluster, spec: dict[str, Any], complaint: str) -> None:
    body = make_trigger("bad", "/x")
    answer = receiving.api.post(eventing("triggers"), json={**body, "spec": {**body["spec"], **spec}})
    assert answer.status_code == 400
    message = answer.json()["message"]
    assert message.startswith('admission webhook "validation.webhook.eventing.knative.dev" denied the request: ')
    assert complaint in message
