"""What is accepted as an event, and how everything else is refused."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigpanda_mlflow.errors import Malformed, Permanent
from bigpanda_mlflow.events import (
    Event,
    EventKey,
    EventType,
    LostTarball,
    Outcome,
    Release,
    ServiceFailed,
    ServiceReady,
    SnapshotPublished,
    Visualize,
)
from bigpanda_mlflow.wire import read_event, write_outcome
from mlflow_on_demand.settings import MAX_JEDITASKID
from support.builders import NOW, TASK, visualize_data

HEADERS = {
    "Ce-Specversion": "1.0",
    "Ce-Id": "e1",
    "Ce-Source": "/bigpanda",
    "Ce-Type": EventType.VISUALIZE.value,
    "Ce-Time": "2026-11-23T13:00:00+01:00",
    "Content-Type": "application/json",
}
ACCEPTED = (EventType.VISUALIZE, EventType.RELEASE, EventType.PING)


def read(headers: dict[str, str], data: Any) -> Event[Any]:
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    return read_event(headers, body, ACCEPTED, NOW)


def structured(**changes: Any) -> bytes:
    event = {name[3:].lower(): value for name, value in HEADERS.items() if name.startswith("Ce-")}
    return json.dumps({**event, "datacontenttype": "application/json", "data": visualize_data(), **changes}).encode()


def test_binary_and_structured_mode_read_the_same() -> None:
    expected = Event(EventKey(NOW, "e1"), EventType.VISUALIZE, Visualize.model_validate(visualize_data()))
    assert read(HEADERS, visualize_data()) == expected
    assert read({"Content-Type": "application/cloudevents+json; charset=utf-8"}, structured()) == expected


def test_unknown_fields_and_extensions_are_ignored() -> None:
    event = read({**HEADERS, "Ce-Traceparent": "00-x", "Ce-Subject": str(TASK)}, visualize_data(colour="blue"))
    assert event.data == Visualize.model_validate(visualize_data())


def test_a_ping_needs_no_data() -> None:
    ping = {**HEADERS, "Ce-Type": "dev.knative.sources.ping", "Ce-Source": "/apis/v1/namespaces/x/pingsources/expire"}
    assert read(ping, b"").data is None


@pytest.mark.parametrize("attribute", ["Id", "Source", "Type", "Time", "Specversion"])
def test_a_missing_attribute_is_named_and_not_invented(attribute: str) -> None:
    headers = {name: value for name, value in HEADERS.items() if name != f"Ce-{attribute}"}
    with pytest.raises(Malformed) as refusal:
        read(headers, visualize_data())
    assert refusal.value.field == attribute.lower()
    with pytest.raises(Malformed) as refusal:
        read({"Content-Type": "application/cloudevents+json"}, structured(**{attribute.lower(): None}))
    assert refusal.value.field == attribute.lower()


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("data.jeditaskid", {"jeditaskid": 0}),
        ("data.jeditaskid", {"jeditaskid": MAX_JEDITASKID + 1}),
        ("data.jeditaskid", {"jeditaskid": "30456789"}),
        ("data.jeditaskid", {"jeditaskid": True}),
        ("data.jeditaskid", {"jeditaskid": 1.5}),
        ("data.jeditaskid", {"jeditaskid": None}),
        ("data.owner", {"owner": ""}),
        ("data.owner", {"owner": "a\r\nX-Evil: 1"}),
        ("data.owner", {"owner": "x" * 257}),
        ("data.artifacts", {"artifacts": []}),
        ("data.artifacts", {"artifacts": "s3://panda/hpo/"}),
        ("data.artifacts[1]", {"artifacts": ["s3://panda/hpo/", 7]}),
        ("data.lifetime", {"lifetime": 3600}),
        ("data.lifetime", {"lifetime": "forever"}),
        ("data.lifetime", {"lifetime": "-P1D"}),
        ("data.lifetime", {"lifetime": "PT0S"}),
        ("data.lifetime", {"lifetime": "P999999999999D"}),
        ("data.objective.direction", {"objective": {"metric": "loss", "direction": "down"}}),
        ("data.max_points", {"max_points": 0}),
        ("data.prewarm", {"prewarm": "yes"}),
    ],
)
def test_bad_data_is_refused_by_field(field: str, changes: dict[str, Any]) -> None:
    with pytest.raises(Permanent) as refusal:
        read(HEADERS, visualize_data(**changes))
    assert (refusal.value.field, refusal.value.status) == (field, 422)


@pytest.mark.parametrize(
    ("headers", "body", "field"),
    [
        ({}, b"not json", "body"),
        ({}, b"[]", "data"),
        ({}, b"", "data"),
        ({}, b"[" * 100_000, "data"),
        ({"Ce-Type": "ch.cern.bigpanda.task.other"}, b"{}", "type"),
        ({"Ce-Type": EventType.READY.value}, b"{}", "type"),
        ({"Ce-Time": "yesterday"}, b"{}", "time"),
        ({"Ce-Time": "2026-11-23T12:00:00"}, b"{}", "time"),
        ({"Ce-Time": "2026-11-23T12:06:00Z"}, b"{}", "time"),
        ({"Ce-Id": "x" * 257}, b"{}", "id"),
        ({"Ce-Id": "a\x7fb"}, b"{}", "id"),
        ({"Ce-Specversion": "7.0"}, b"{}", "data"),
        ({"Ce-Subject": "1"}, json.dumps(visualize_data()).encode(), "subject"),
        ({"Content-Type": "application/cloudevents+json"}, b"nonsense", "body"),
        ({"Content-Type": "application/cloudevents+json"}, b"[1]", "body"),
    ],
)
def test_a_malformed_request_is_refused_by_field(headers: dict[str, str], body: bytes, field: str) -> None:
    with pytest.raises(Permanent) as refusal:
        read({**HEADERS, **headers}, body)
    assert refusal.value.field is not None
    assert refusal.value.field.startswith(field)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(list(visualize_data())), JSON), st.binary(max_size=50))
def test_no_rubbish_gets_past_as_anything_but_a_refusal(changes: dict[str, Any], noise: bytes) -> None:
    for body in (json.dumps(visualize_data(**changes)).encode(), noise):
        for headers in (HEADERS, {"Content-Type": "application/cloudevents+json"}):
            refusal = _refusal(headers, body)
            assert refusal is None or (refusal.field and refusal.status in {400, 422})


def _refusal(headers: dict[str, str], body: bytes) -> Permanent | None:
    try:
        assert isinstance(read(headers, body).data, Visualize)
    except Permanent as refusal:
        return refusal
    return None


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (EventType.READY, ServiceReady(jeditaskid=TASK, url="http://x", expires_at=datetime(2026, 1, 1, tzinfo=UTC))),
        (EventType.FAILED, ServiceFailed(jeditaskid=TASK, reason="plain words")),
        (
            EventType.SNAPSHOT_PUBLISHED,
            SnapshotPublished(
                jeditaskid=TASK,
                runs=1,
                points=1,
                segments=("a",),
                lost=(LostTarball(name="b.tgz", reason="is cut short"),),
                best_value=None,
                digest="d",
            ),
        ),
    ],
)
def test_an_outcome_is_a_whole_event_on_the_wire(kind: EventType, data: Any) -> None:
    outcome = Outcome(kind, "e1:x", NOW, data)
    headers, body = write_outcome(outcome)
    assert {name: headers[name] for name in headers if name.startswith("ce-")} == {
        "ce-specversion": "1.0",
        "ce-id": "e1:x",
        "ce-source": "/bigpanda",
        "ce-type": kind.value,
        "ce-subject": str(TASK),
        "ce-time": "2026-11-23T12:00:00Z",
    }
    assert headers["content-type"] == "application/json"
    assert type(data).model_validate_json(body) == data
    assert write_outcome(outcome) == (headers, body)


def test_release_is_read_by_its_own_model() -> None:
    assert read({**HEADERS, "Ce-Type": EventType.RELEASE.value}, {"jeditaskid": 5}).data == Release(jeditaskid=5)
