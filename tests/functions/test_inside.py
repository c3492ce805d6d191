"""Calls of a Revision that only a tag leads to: the right host, and what each answer means."""

import http.server
from collections.abc import Iterator

import pytest

from bigpanda_mlflow.errors import FunctionError, Permanent, Transient
from bigpanda_mlflow.inside import Door, door_of, have_ingested
from support.answering import answering
from support.builders import NOW, SETTINGS


class Ingest(http.server.ThreadingHTTPServer):
    """Answers each POST with `status` and `body`, and keeps what it was sent."""

    status, body = 200, b"{}"

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.sent: list[tuple[str, str, str, bytes]] = []


class Answer(http.server.BaseHTTPRequestHandler):
    """Says what its server is told to."""

    server: Ingest

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.sent.append((self.headers["host"], self.headers["ce-type"], self.headers["ce-id"], body))
        self.send_response(self.server.status)
        self.send_header("location", "http://127.0.0.1:1/")
        self.send_header("content-length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def ingest() -> Iterator[Ingest]:
    with answering(Ingest()) as found:
        yield found


def call(ingest: Ingest) -> None:
    door = Door(f"http://127.0.0.1:{ingest.server_address[1]}", "candidate-ingest.bigpanda.svc.cluster.local")
    have_ingested(door, 7, "rollout:0", NOW, 10)


def test_in_a_cluster_the_host_is_the_address_and_elsewhere_a_header() -> None:
    host = "candidate-ingest.bigpanda.svc.cluster.local"
    assert door_of("ingest", "candidate", SETTINGS) == Door(f"http://{host}")
    laptop = SETTINGS.model_copy(update={"gateway": "http://127.0.0.1:8081"})
    assert door_of("ingest", "candidate", laptop) == Door("http://127.0.0.1:8081", host)


def test_the_event_is_that_of_new_results(ingest: Ingest) -> None:
    call(ingest)
    assert ingest.sent == [
        (
            "candidate-ingest.bigpanda.svc.cluster.local",
            "ch.cern.bigpanda.task.results",
            "rollout:0:7",
            b'{"jeditaskid": 7, "artifacts": null}',
        )
    ]


@pytest.mark.parametrize(
    ("status", "body", "error", "sentence"),
    [
        (422, b'{"error": "is outside the stores"}', Permanent, "answered 422: is outside the stores"),
        (503, b'{"error": "the store is away"}', Transient, "answered 503: the store is away"),
        (404, b"<html>no such host</html>", Transient, "answered 404"),
        (302, b"", Permanent, "answered 302"),
        (500, b"[]", Transient, "answered 500"),
    ],
)
def test_refusals(ingest: Ingest, status: int, body: bytes, error: type[FunctionError], sentence: str) -> None:
    ingest.status, ingest.body = status, body
    with pytest.raises(error, match=f"the new image's ingest {sentence}$"):
        call(ingest)


def test_nobody_there() -> None:
    with pytest.raises(Transient, match=r"the new image's ingest cannot be reached \(ConnectionError\)"):
        have_ingested(Door("http://127.0.0.1:1"), 7, "c", NOW, 10)
