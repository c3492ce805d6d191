"""The server that every Service of the suite runs, on `$PORT`. It goes to the cluster as text: `python3 -c <this>`.

| request | answer |
|---|---|
| `GET /events` | all POSTs that this pod got, as JSON, in their order |
| `GET` anything else | the name of its Revision |
| `POST /send?to=<url>&method=<method>` | what that URL says to the same event, sent from inside the cluster |
| `POST /<answers>/<anything>` | one answer for each delivery of an event, joined by hyphens, the last one for ever |

An answer is a status; `reply`, 200 with an event; or `words`, 200 with a text that is no event.
"""

import collections
import http.client
import http.server
import json
import os
import signal
import threading
import urllib.parse

EVENTS: list[dict[str, object]] = []
DELIVERIES: collections.Counter[tuple[str, str]] = collections.Counter()
LOCK = threading.Lock()


class Receiver(http.server.BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer in one packet: in two, the second one waits for the other side's delayed ACK

    def do_GET(self) -> None:
        """Say who answers, or what came."""
        if self.path == "/events":
            with LOCK:
                self.answer(200, json.dumps(EVENTS).encode(), {"content-type": "application/json"})
        else:
            self.answer(200, os.environ.get("K_REVISION", "").encode(), {})

    def do_POST(self) -> None:
        """Pass an event on, or take it."""
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        if self.path.startswith("/send?"):
            self.send(headers, body)
        else:
            self.take(headers, body)

    def send(self, headers: dict[str, str], body: bytes) -> None:
        """The same event to another place."""
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        there = urllib.parse.urlsplit(query["to"])
        event = {name: value for name, value in headers.items() if name.startswith("ce-") or name == "content-type"}
        connection = http.client.HTTPConnection(there.netloc, timeout=60)
        connection.request(query["method"], there.path or "/", body, event)
        said = connection.getresponse()
        self.answer(said.status, said.read(), {"x-said": "there"})
        connection.close()

    def take(self, headers: dict[str, str], body: bytes) -> None:
        """Note an event, and answer as its path says."""
        identity = headers.get("ce-id", "")
        with LOCK:
            EVENTS.append({"path": self.path, "headers": headers, "body": body.decode("utf-8", "replace")})
            nth = DELIVERIES[self.path, identity]
            DELIVERIES[self.path, identity] += 1
        answers = self.path.split("/")[1].split("-")
        word = answers[min(nth, len(answers) - 1)]
        if word == "reply":
            kind = headers.get("ce-type", "") + ".answered"
            event = {"ce-specversion": "1.0", "ce-id": f"re-{identity}", "ce-source": "/receiver", "ce-type": kind}
            self.answer(200, b'{"answer": 42}', event | {"content-type": "application/json"})
        elif word == "words":
            self.answer(200, b"OK", {"content-type": "text/plain"})
        else:
            self.answer(int(word), b"because of that" if int(word) >= 300 else b"", {})

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        """Write a whole response."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and status != 204:
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing: the tests ask for what they want to know."""


def main() -> None:
    """Serve until told to end; the first process of a container ignores SIGTERM unless it says otherwise."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Receiver)
    server.serve_forever()


if __name__ == "__main__":
    main()
