"""Properties and examples of the modules that decide without doing."""

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knative_embedded import ages
from knative_embedded.admission import serving
from knative_embedded.admission.fielderrors import FieldError, render, via
from knative_embedded.api import protobuf
from knative_embedded.api.patches import PatchError, apply_json_patch, apply_merge_patch
from knative_embedded.api.selectors import parse_label_selector
from knative_embedded.control.conditions import TRUE, Truth, Verdict, deny, doubt, make_conditions
from knative_embedded.durations import format_go_duration, parse_go_duration, parse_iso_duration
from knative_embedded.eventing.backoff import Delivery, Policy, may_retry, parse_delivery, wait_before
from knative_embedded.eventing.cloudevents import Event, NotAnEvent, parse_event, render_binary
from knative_embedded.eventing.cron import next_tick
from knative_embedded.pods.images import Image, find_image, strip_reference
from knative_embedded.pods.plan import expand
from knative_embedded.web.headers import end_to_end
from knative_embedded.web.routing import find_route, parse_local_host, parse_public_host, pick_revision

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def difference(old: Any, new: Any) -> Any:
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    gone = dict.fromkeys(old.keys() - new.keys())
    return gone | {
        key: difference(old.get(key), value) for key, value in new.items() if key not in old or old[key] != value
    }


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nulls(one) for key, one in value.items() if one is not None}
    return value


@given(JSON, JSON.map(without_nulls))
def test_a_merge_patch_leads_where_it_should(old: Any, new: Any) -> None:
    assert apply_merge_patch(old, difference(old, new)) == new


@given(JSON)
def test_json_patch_replaces_and_moves_whole_documents(document: Any) -> None:
    operations = [{"op": "add", "path": "/a~1b", "value": document}, {"op": "move", "from": "/a~1b", "path": "/c~0d"}]
    operations += [
        {"op": "copy", "from": "/c~0d", "path": "/list/-"},
        {"op": "test", "path": "/list/0", "value": document},
    ]
    assert apply_json_patch({"list": []}, operations) == {"list": [document], "c~d": document}


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/x"},
        {"op": "replace", "path": "/x", "value": 1},
        {"op": "test", "path": "/a", "value": 2},
        {"op": "add", "path": "/l/5", "value": 1},
        {"op": "add", "path": "/l/01", "value": 1},
        {"op": "dance", "path": "/a"},
        {"path": "/a"},
    ],
)
def test_json_patches_that_cannot_be_applied(operation: dict[str, Any]) -> None:
    document = {"a": 1, "l": [1, 2]}
    with pytest.raises(PatchError):
        apply_json_patch(document, [{"op": "add", "path": "/l/-", "value": 3}, operation])
    assert document == {"a": 1, "l": [1, 2]}


@given(st.dictionaries(st.sampled_from("abc"), st.sampled_from(["x", "y", ""])))
def test_selectors_and_their_opposites(labels: dict[str, str]) -> None:
    thing = {"metadata": {"labels": labels}}
    for selector, opposite in (("a=x", "a!=x"), ("a in (x,y)", "a notin (x, y)"), ("a", "!a")):
        assert parse_label_selector(selector)(thing) is not parse_label_selector(opposite)(thing)


@given(st.integers(0, 10_000_000))
def test_durations(seconds: int) -> None:
    assert parse_go_duration(format_go_duration(seconds)) == seconds
    assert parse_iso_duration(f"PT{seconds}S") == seconds
    assert parse_go_duration(f"{seconds}ms") == pytest.approx(seconds / 1000)


@pytest.mark.parametrize("text", ["", "1", "s", "1d", "PT", "P", "1h-1m", "five"])
def test_what_is_no_duration(text: str) -> None:
    for parse in (parse_go_duration, parse_iso_duration):
        with pytest.raises(ValueError, match="duration"):
            parse(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (45, "45s"),
        (119, "119s"),
        (312, "5m12s"),
        (7200, "120m"),
        (11220, "3h7m"),
        (172800, "2d"),
        (86400 * 400, "400d"),
    ],
)
def test_ages(seconds: int, text: str) -> None:
    assert ages.human(seconds) == text


@given(st.integers(0, 20), st.integers(1, 30))
def test_retries_end_and_waits_grow(retry: int, attempts: int) -> None:
    for policy in Policy:
        delivery = Delivery(retry=retry, policy=policy, delay=0.2)
        wait = wait_before(delivery, attempts)
        assert (wait is None) == (attempts > retry)
        following = wait_before(delivery, attempts + 1)
        assert wait is None or following is None or following >= wait


def test_what_is_retried() -> None:
    assert [code for code in (0, 200, 301, 400, 401, 404, 408, 409, 422, 429, 500, 503) if may_retry(code)] == [
        *(0, 404, 408, 409, 429, 500, 503)
    ]


WORDS = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=9)
ATTRIBUTES = st.dictionaries(st.from_regex(r"[a-z]{3,9}", fullmatch=True), WORDS, max_size=3)
RESERVED = {"data", "datacontenttype", "time", "specversion"}


@given(ATTRIBUTES, st.binary(max_size=50))
def test_events_survive_the_wire(extensions: dict[str, str], data: bytes) -> None:
    extensions = {key: value for key, value in extensions.items() if key not in RESERVED}
    attributes = {"specversion": "1.0", "id": "1", "source": "/x", "type": "t", **extensions}
    event = Event(attributes, data or None)
    assert parse_event(*render_binary(event)) == event


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
        ("2026-01-02T00:04:05.120+01:00", "2026-01-01T23:04:05.12Z"),
        ("2026-01-02T03:04:05.000-00:30", "2026-01-02T03:34:05Z"),
        ("2026-01-02T03:04:05.123456789Z", "2026-01-02T03:04:05.123456789Z"),
    ],
)
def test_the_time_of_an_event_is_kept_in_utc(said: str, kept: str) -> None:
    attributes = {"specversion": "1.0", "id": "1", "source": "/x", "type": "t", "time": said}
    assert parse_event(*render_binary(Event(attributes))).attributes["time"] == kept


@pytest.mark.parametrize(
    "text", ["2026-01-02", "2026-01-02T03:04:05", "2026-13-02T03:04:05Z", "0001-01-01T00:00:00+01:00"]
)
def test_what_is_no_time(text: str) -> None:
    attributes = {"specversion": "1.0", "id": "1", "source": "/x", "type": "t", "time": text}
    with pytest.raises(NotAnEvent, match="RFC 3339"):
        parse_event(*render_binary(Event(attributes)))


@pytest.mark.parametrize(
    ("trigger", "broker", "wanted"),
    [
        (None, None, Delivery()),
        (None, {"retry": 3, "backoffPolicy": "linear", "backoffDelay": "PT1S"}, Delivery(3, Policy.LINEAR, 1.0)),
        ({}, {"retry": 3}, Delivery()),
        ({"retry": 2}, {"backoffPolicy": "linear", "backoffDelay": "PT1S"}, Delivery(2)),
        ({"retry": 2, "backoffDelay": "PT1S", "timeout": "PT2S"}, None, Delivery(2, timeout=2.0)),
    ],
)
def test_the_delivery_of_a_trigger_is_its_own_or_its_brokers(trigger: Any, broker: Any, wanted: Delivery) -> None:
    assert parse_delivery(trigger, broker) == wanted


def test_routing_by_percent_and_tag() -> None:
    traffic = [
        {"revisionName": "a-1", "percent": 20},
        {"revisionName": "a-2", "percent": 80},
        {"revisionName": "a-3", "tag": "next"},
    ]
    route = {"metadata": {"name": "a"}, "status": {"traffic": traffic}}
    assert [pick_revision(route, "", draw) for draw in (0, 19.9, 20, 99.9)] == ["a-1", "a-1", "a-2", "a-2"]
    assert find_route("a", [route]) == (route, "")
    assert find_route("next-a", [route]) == (route, "next")
    assert find_route("other-a", [route]) is None
    assert pick_revision(route, "next", 0) == "a-3"
    assert pick_revision({"metadata": {"name": "b"}}, "", 0) is None


@given(st.text(max_size=30))
def test_any_host_is_understood_or_refused(host: str) -> None:
    for found in (parse_public_host(host, "localhost"), parse_local_host(host)):
        assert found is None or (found.label and found.namespace)


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("a/b", "a/b"),
        ("host:5000/a/b:tag", "host:5000/a/b"),
        ("ghcr.io/x/a/b@sha256:00", "ghcr.io/x/a/b"),
        ("ghcr.io/x/a/b:1@sha256:00", "ghcr.io/x/a/b"),
    ],
)
def test_image_references(reference: str, name: str) -> None:
    assert strip_reference(reference) == name
    image = Image(("run",))
    assert find_image({"a/b": image}, reference) is image
    assert find_image({"b/a": image, "x/a/b:1": image}, reference) is None


@given(st.text(alphabet="$()AB ", max_size=20))
def test_expansion_changes_only_references(text: str) -> None:
    assert expand(text.replace("$", ""), {"A": "1"}) == text.replace("$", "")
    assert expand("$(A)-$(B)-$$(A)", {"A": "1"}) == "1-$(B)-$(A)"


def test_hop_by_hop_headers_stay_behind() -> None:
    sent = [(b"Connection", b"close, X-Mine"), (b"X-Mine", b"1"), (b"Keep-Alive", b"5"), (b"X-Other", b"2")]
    assert end_to_end(sent) == [(b"x-other", b"2")]


def test_ready_follows_what_changed_last() -> None:
    owner: dict[str, Any] = {"metadata": {}, "status": {}}
    first = make_conditions(owner, {"A": deny("First", "a"), "B": doubt("Waiting")}, {}, NOW)
    assert [(one["type"], one["status"], one.get("reason")) for one in first] == [
        ("A", "False", "First"),
        ("B", "Unknown", "Waiting"),
        ("Ready", "False", "First"),
    ]
    owner["status"] = {"conditions": first}
    later = NOW + dt.timedelta(seconds=5)
    second = make_conditions(owner, {"A": deny("First", "a"), "B": deny("Second", "b")}, {"C": TRUE}, later)
    assert {one["type"]: one.get("reason") for one in second} == {
        "A": "First",
        "B": "Second",
        "C": None,
        "Ready": "Second",
    }
    assert [one["lastTransitionTime"][-3:] for one in second] == ["00Z", "05Z", "05Z", "05Z"]
    assert make_conditions(owner, {"A": Verdict(Truth.TRUE)}, {}, later)[-1]["status"] == "True"


def test_field_errors_are_merged_and_sorted() -> None:
    errors = [
        FieldError("missing field(s)", ("b",)),
        FieldError("missing field(s)", ("a",)),
        FieldError("bad", ("c",), "why"),
    ]
    assert render(via(errors, "spec", "list", "[0]")) == (
        "bad: spec.list[0].c\nwhy\nmissing field(s): spec.list[0].a, spec.list[0].b"
    )


def test_defaulting_twice_changes_nothing() -> None:
    once = serving.default_service(
        {"metadata": {"name": "a"}, "spec": {"template": {"spec": {"containers": [{}]}}}}, None
    )
    assert serving.default_service(once, once) == once


@pytest.mark.parametrize(
    ("schedule", "timezone", "expected"),
    [
        ("0 6 * * *", "", "2026-11-24T06:00:00+00:00"),
        ("0 6 * * *", "Europe/Zurich", "2026-11-24T05:00:00+00:00"),
        ("@hourly", "", "2026-11-23T13:00:00+00:00"),
        ("*/10 * * * * *", "", "2026-11-23T12:00:10+00:00"),
    ],
)
def test_ticks(schedule: str, timezone: str, expected: str) -> None:
    found = next_tick(schedule, timezone, NOW)
    assert found is not None
    assert found.isoformat() == expected


@given(st.binary(max_size=60))
def test_broken_protobuf_is_refused(noise: bytes) -> None:
    for body in (noise, b"k8s\x00" + noise):
        try:
            protobuf.decode(body)
        except ValueError:
            continue
