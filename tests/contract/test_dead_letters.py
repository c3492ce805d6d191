"""What becomes of events that nobody takes: the way to a dead letter sink, and what a letter says there."""

import base64

import pytest

from contract.delivery import BRISK, Station, carried, make_broker, make_headers, make_trigger, paths_of
from contract.kit import BROKERS, TRIGGERS, condition

ONCE = {"retry": 1} | BRISK
JSON = {"content-type": "application/json"}
TTL = {"knativebrokerttl": "255"}


def make_error(code: int, url: str, data: bytes = b"because of that") -> dict[str, str]:
    """The attributes by which a dead letter says why."""
    text = base64.b64encode(data).decode()
    return {"knativeerrorcode": str(code), "knativeerrordest": url, "knativeerrordata": text}


@pytest.mark.parametrize(
    ("code", "attempts"), [(301, 1), (400, 1), (401, 1), (403, 1), (413, 1), (422, 1), (404, 2), (503, 2)]
)
def test_a_dead_letter_says_why(station: Station, code: int, attempts: int) -> None:
    kind, path = f"dead.{code}", f"/{code}/lost"
    station.subscribe(path, {"type": kind}, delivery=ONCE | {"deadLetterSink": station.at("/204/dead")})
    identity = station.publish(kind, mine="x")
    *tries, letter = station.await_paths(identity, *[path] * attempts, "/204/dead")
    assert paths_of(tries) == [path] * attempts
    said = make_headers(id=identity, type=kind, mine="x", **TTL, **make_error(code, station.url(path)))
    assert carried(letter) == said | JSON
    assert letter["body"] == '{"a": 1}'
    assert "prefer" not in letter["headers"]


def test_words_that_are_no_event_are_a_failure(station: Station) -> None:
    station.subscribe("/words/lost", {"type": "words"}, delivery=ONCE | {"deadLetterSink": station.at("/204/dead")})
    identity = station.publish("words")
    found = station.await_paths(identity, "/words/lost", "/words/lost", "/204/dead")
    assert paths_of(found) == ["/words/lost", "/words/lost", "/204/dead"]
    # The reason stays inside: the subscriber did say 200.
    assert carried(found[-1]) == make_headers(id=identity, type="words", **TTL) | JSON


def test_a_subscriber_that_nobody_reaches(station: Station) -> None:
    nobody = {"uri": "http://127.0.0.1:9/nobody"}
    delivery = ONCE | {"deadLetterSink": station.at("/204/dead")}
    wanted = {"attributes": {"type": "unreachable"}}
    station.home.create(TRIGGERS, make_trigger("unreachable", nobody, filter=wanted, delivery=delivery))
    station.home.await_ready(TRIGGERS, "unreachable")
    (letter,) = station.await_paths(station.publish("unreachable"), "/204/dead")
    headers = letter["headers"]
    assert (headers["ce-knativeerrorcode"], headers["ce-knativeerrordest"]) == ("500", nobody["uri"])
    assert base64.b64decode(headers["ce-knativeerrordata"]).startswith(b"dispatch error: ")


def test_a_dead_letter_can_be_posted_again(station: Station) -> None:
    delivery = {"deadLetterSink": station.at("/204/dead")}
    station.subscribe("/400-204/again", {"type": "again"}, delivery=delivery)
    identity = station.publish("again")
    (_, letter) = station.await_paths(identity, "/400-204/again", "/204/dead")
    assert station.post(carried(letter), letter["body"].encode()).status_code == 202
    *_, second = station.await_paths(identity, "/400-204/again", "/400-204/again")
    error = make_error(400, station.url("/400-204/again"))
    assert carried(second) == make_headers(id=identity, type="again", **error) | JSON


@pytest.mark.parametrize(
    ("delivery", "attempts"), [({}, 1), ({"backoffDelay": "PT0.1S", "backoffPolicy": "linear"}, 1), ({"retry": 2}, 3)]
)
def test_what_a_delivery_leaves_out_is_none(station: Station, delivery: dict[str, str | int], attempts: int) -> None:
    """Nothing of the Broker's ten retries is left once a Trigger has a delivery of its own."""
    kind = station.make_id()
    sink = {"deadLetterSink": station.at("/204/dead")}
    station.subscribe("/503/sparse", {"type": kind}, delivery=delivery | sink)
    found = station.await_paths(station.publish(kind), *["/503/sparse"] * attempts, "/204/dead")
    assert paths_of(found) == ["/503/sparse"] * attempts + ["/204/dead"]


def test_the_sink_of_a_broker_and_that_of_a_trigger(station: Station) -> None:
    delivery = ONCE | {"deadLetterSink": station.at("/204/brokers")}
    station.home.create(BROKERS, make_broker("careful", delivery=delivery))
    broker = station.find_broker("careful")
    status = station.home.get(BROKERS, "careful")["status"]
    assert status["deadLetterSinkUri"] == station.url("/204/brokers")
    assert condition({"status": status}, "DeadLetterSinkResolved") == {
        "type": "DeadLetterSinkResolved",
        "severity": "Info",
        "status": "True",
    }
    own = {"deadLetterSink": station.at("/204/triggers")}
    station.subscribe("/503/plain", {"type": "plain"}, broker="careful")
    station.subscribe("/503/own", {"type": "own"}, broker="careful", delivery=own)
    station.subscribe("/503/mixed", {"type": "mixed"}, broker="careful", delivery={"retry": 2})
    wanted = {
        "plain": ["/503/plain"] * 2 + ["/204/brokers"],
        "own": ["/503/own", "/204/triggers"],
        "mixed": ["/503/mixed"] * 3 + ["/204/brokers"],
    }
    for kind, paths in wanted.items():
        assert paths_of(station.await_paths(station.publish(kind, broker), *paths)) == paths
    for trigger in station.home.get(TRIGGERS, labelSelector="eventing.knative.dev/broker=careful")["items"]:
        own_path = "triggers" if trigger["spec"]["subscriber"]["uri"] == "/503/own" else "brokers"
        assert trigger["status"]["deadLetterSinkUri"] == station.url(f"/204/{own_path}")
        resolved = {"type": "DeadLetterSinkResolved", "status": "True"}
        assert condition(trigger, "DeadLetterSinkResolved") == resolved
