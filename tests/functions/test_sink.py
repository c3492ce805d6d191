"""What is posted to the broker and what is made of its answer, by real HTTP."""

import http.server
import threading
from pathlib import Path

import pytest

from bigpanda_mlflow.errors import Transient
from bigpanda_mlflow.events import EventType, Outcome, ServiceExpired
from bigpanda_mlflow.settings import Settings
from bigpanda_mlflow.sink import forward, send
from support.builders import ENVIRONMENT, NOW, TASK
from support.sink import Sink

OUTCOME = Outcome(EventType.EXPIRED, "e1:expired", NOW, ServiceExpired(jeditaskid=TASK, reason="expired"))
TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJmcm9udCJ9.c2lnbmVk-_"
OTHER = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJmcm9udCJ9.cmVuZXdlZA"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(TOKEN)
    return path


def settings_for(sink: str | None, file: Path | None = None) -> Settings:
    known = {"K_SINK": sink or "", "K_SINK_TOKEN_FILE": "" if file is None else str(file)}
    return Settings.from_environment({**ENVIRONMENT, **known})


def test_without_a_token_file_nothing_is_authorized(sink: Sink) -> None:
    send(settings_for(sink.url), OUTCOME)
    assert sink.taken == [f"ch.cern.bigpanda.service.expired {TASK} e1:expired"]
    assert "authorization" not in sink.headers[0]


def test_the_token_is_the_one_that_the_file_has_now(sink: Sink, file: Path) -> None:
    settings = settings_for(sink.url, file)
    send(settings, OUTCOME)
    file.write_text(f"{OTHER}\n")
    send(settings, OUTCOME)
    assert [headers["authorization"] for headers in sink.headers] == [f"Bearer {TOKEN}", f"Bearer {OTHER}"]
    assert len(sink.taken) == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "{file}: No such file or directory"),
        (b"", "{file} is empty"),
        (b" \n", "{file} is empty"),
        (b"two tokens", "{file} holds none"),
        (b"one\r\nx-header: more", "{file} holds none"),
        (b"\xff\xfe", "{file} holds none"),
    ],
)
def test_a_file_without_a_token_is_a_passing_fault_that_names_it(
    sink: Sink, file: Path, content: bytes | None, said: str
) -> None:
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    with pytest.raises(Transient) as fault:
        send(settings_for(sink.url, file), OUTCOME)
    assert str(fault.value) == f"the token for the broker cannot be read: {said.format(file=file)}"
    assert sink.headers == []


@pytest.mark.parametrize(
    ("status", "with_token", "said"),
    [
        (302, False, "the broker answered 302"),
        (401, False, "the broker answered 401: it asks who sends, and K_SINK_TOKEN_FILE is not set"),
        (401, True, "the broker answered 401: it does not take the token of {file}"),
        (403, True, "the broker answered 403: it does not take the token of {file}"),
        (404, True, "the broker answered 404"),
        (503, False, "the broker answered 503"),
    ],
)
def test_what_the_broker_does_not_take_is_a_passing_fault(
    sink: Sink, file: Path, status: int, with_token: bool, said: str
) -> None:
    sink.status = status
    with pytest.raises(Transient) as fault:
        send(settings_for(sink.url, file if with_token else None), OUTCOME)
    assert str(fault.value) == said.format(file=file)


def test_a_broker_that_is_away_or_unknown_is_a_passing_fault(file: Path) -> None:
    with pytest.raises(Transient, match="cannot be reached") as fault:
        send(settings_for("http://127.0.0.1:1/", file), OUTCOME)
    assert TOKEN not in str(fault.value)
    with pytest.raises(Transient, match="K_SINK is not set"):
        send(settings_for(None), OUTCOME)


class Elsewhere(http.server.BaseHTTPRequestHandler):
    """Sends everybody on to `target`."""

    target = ""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(307)
        self.send_header("location", self.target)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_the_token_follows_no_redirect(sink: Sink, file: Path) -> None:
    Elsewhere.target = sink.url
    with http.server.HTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        with pytest.raises(Transient, match="answered 307"):
            send(settings_for(f"http://127.0.0.1:{server.server_address[1]}/", file), OUTCOME)
        thread.join()
    assert sink.headers == []


def test_neither_a_proxy_nor_a_netrc_of_the_environment_counts(
    sink: Sink, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    forward(settings_for(sink.url, file), {"ce-id": "1"}, b"{}")
    assert sink.headers[0]["authorization"] == f"Bearer {TOKEN}"
