"""PingSources at work: what comes at a tick, to a Service and to a Broker."""

from typing import Any

from contract.delivery import Station, carried, make_headers, paths_of, refer
from contract.kit import Object, eventually

PING = "dev.knative.sources.ping"
OFTEN = "*/2 * * * * *"
"""Every two seconds: only the test of the default pays for a whole minute."""
JSON, TEXT, CSS = ({"content-type": kind} for kind in ("application/json", "text/plain", "text/css"))
PINGS: list[tuple[dict[str, Any], dict[str, str], str]] = [
    ({}, {}, ""),
    ({"data": "words"}, {}, "words"),
    ({"data": '{"a": 1}', "contentType": "application/json"}, JSON, '{"a": 1}'),
    ({"dataBase64": "d29yZHM=", "contentType": "text/css"}, CSS, "words"),
    (
        {"data": "x", "contentType": "text/plain", "ceOverrides": {"extensions": {"mine": "x y"}}},
        TEXT | {"ce-mine": "x y"},
        "x",
    ),
    ({"data": "x", "timezone": "UTC"}, {}, "x"),
]
"""What a PingSource says beside its schedule; the headers that this makes; the body."""


def make_source(station: Station, name: str) -> str:
    """The attribute `source` of a PingSource's events."""
    return f"/apis/v1/namespaces/{station.home.namespace}/pingsources/{name}"


def await_pings(station: Station, name: str, count: int = 1) -> list[Object]:
    """The deliveries of a PingSource, once there are so many."""
    source = make_source(station, name)

    def look() -> list[Object] | None:
        found = [one for one in station.all_events() if one["headers"].get("ce-source") == source]
        return found if len(found) >= count else None

    return eventually(look)


def test_what_a_ping_carries(station: Station) -> None:
    for number, (spec, _, _) in enumerate(PINGS):
        station.ping(f"ping-{number}", station.at(f"/204/ping-{number}"), schedule=OFTEN, **spec)
    for number, (_, headers, body) in enumerate(PINGS):
        first, second = await_pings(station, f"ping-{number}", 2)[:2]
        assert first["headers"]["ce-id"] != second["headers"]["ce-id"]
        assert (first["path"], first["body"]) == (f"/204/ping-{number}", body)
        said = {name: first["headers"][f"ce-{name}"] for name in ("id", "time")}
        source = make_source(station, f"ping-{number}")
        assert carried(first) == make_headers(source=source, type=PING, **said) | headers
        assert said["time"].endswith("Z")
        assert first["headers"]["kn-namespace"] == station.home.namespace


def test_pings_by_the_minute_to_a_service_and_to_a_broker(station: Station) -> None:
    station.subscribe("/204/triggered", {"type": PING, "mine": "yes"})
    mine = {"ceOverrides": {"extensions": {"mine": "yes"}}, "data": "{}", "contentType": "application/json"}
    station.ping("brokers", refer("Broker", "default"), schedule="* * * * *", **mine)
    station.ping("services", station.at("/503-204/minutely"))
    (event,) = await_pings(station, "brokers")
    assert (event["path"], event["body"]) == ("/204/triggered", "{}")
    said = {name: event["headers"][f"ce-{name}"] for name in ("id", "time", "mine")}
    assert carried(event) == make_headers(source=make_source(station, "brokers"), type=PING, **said) | JSON
    first, second = await_pings(station, "services", 2)
    assert paths_of([first, second]) == ["/503-204/minutely"] * 2
    assert carried(first) == carried(second)
