"""The first moments of a server: what answers then, and how its connections change hands."""

import asyncio
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from queue import Queue

import httpx
import pytest
from starlette.types import ASGIApp

from mlflow_on_demand.answers import Answer
from mlflow_on_demand.gate import Gate
from mlflow_on_demand.greeter import Greeter, listen
from mlflow_on_demand.greetings import Greeting, Greetings, NotYet
from mlflow_on_demand.ingest import IngestRequest, ingest_task
from mlflow_on_demand.negotiation import IDENTITY
from mlflow_on_demand.request_key import make_key
from mlflow_on_demand.settings import ServerSettings
from mlflow_on_demand.stage import Progress, Stage, Status
from mlflow_on_demand.task_app import make_app
from mlflow_on_demand.ui_pack import UiFile, UiPack
from mlflow_on_demand.wake import Wake
from support.hpo_files import TASK, Point, name, run_id, tarball, write_task
from support.task_server import HOST, serving

PATIENCE = 30.0
HEALTH = b"GET /health HTTP/1.1\r\nHost: 10.0.0.7:8080\r\n\r\n"
STARTING = b'{"stage":"starting"}'


@pytest.fixture
def greetings(tmp_path: Path) -> Greetings:
    (tmp_path / "gzip").mkdir()
    (tmp_path / "gzip" / "index.html").write_bytes(b"packed")
    return Greetings(Gate(HOST), UiPack(tmp_path, UiFile("text/html", {"gzip": "t1", IDENTITY: "t2"})))


@pytest.fixture
def address(greetings: Greetings) -> Iterator[tuple[Greeter, tuple[str, int]]]:
    with closing(listen("127.0.0.1", 0)) as listener:
        greeter = Greeter(listener, greetings)
        greeter.start()
        yield greeter, listener.getsockname()


def read_answer(connection: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head:
        head += connection.recv(1)
    size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    body = b""
    while len(body) < size:
        body += connection.recv(size - len(body))
    return body


async def ask_app(
    app: ASGIApp, method: str, path: str, headers: dict[str, str], content: bytes
) -> tuple[dict[str, str], bytes]:
    """Headers and body as they are sent."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=f"http://{HOST}") as client:
        request = client.build_request(method, path, content=content)
        request.headers.pop("accept-encoding")
        request.headers.update(headers)
        answer = await client.send(request, stream=True)
        return dict(answer.headers), b"".join([chunk async for chunk in answer.aiter_raw()])


@pytest.mark.parametrize(
    "request_head",
    [
        "GET / HTTP/1.1\r\nHost: evil.example\r\nAccept-Encoding: gzip",
        f"GET / HTTP/1.1\r\nHost: {HOST}\r\nAccept-Encoding: gzip\r\nOrigin: http://evil.example",
        "GET / HTTP/1.1\r\nAccept-Encoding: gzip",
        f"GET / HTTP/1.1\r\nHost: {HOST}\r\nHost: {HOST}\r\nAccept-Encoding: gzip",
        f"GET / HTTP/1.1\r\nHost: {HOST}\r\nAccept-Encoding: gzip\r\nno header",
        f"GET / HTTP/1.1\r\nHost: {HOST}\r\nAccept-Encoding: gzip\r\nRange: bytes=0-1",
        f'GET / HTTP/1.1\r\nHost: {HOST}\r\nAccept-Encoding: gzip\r\nIf-None-Match: "t1"',
        f"GET / HTTP/1.1\r\nHost: {HOST}\r\nAccept-Encoding: gzip\r\nConnection: close",
        f"GET / HTTP/1.1\r\nHost: {HOST}\r\nAccept-Encoding: gzip\r\nContent-Length: 3",
        f"GET / HTTP/1.1\r\nHost: {HOST}\r\nAccept-Encoding: gzip\r\nTransfer-Encoding: chunked",
        f"GET / HTTP/1.1\r\nHost: {HOST}\r\nAccept-Encoding: br;q=1",
        f"GET /?a HTTP/1.1\r\nHost: {HOST}\r\nAccept-Encoding: gzip",
        f"GET / HTTP/1.0\r\nHost: {HOST}\r\nAccept-Encoding: gzip",
        f"HEAD / HTTP/1.1\r\nHost: {HOST}\r\nAccept-Encoding: gzip",
        f"POST / HTTP/1.1\r\nHost: {HOST}\r\nAccept-Encoding: gzip",
        "GET /ready HTTP/1.1\r\nHost: a",
        f"GET / HTTP/1.1\r\nHost: {HOST}\r\nAccept-Encoding: gzip\r\nContent-Length: ²",
        "\xff\xfe",
        "",
    ],
)
def test_what_is_not_common_is_left_to_the_application(greetings: Greetings, request_head: str) -> None:
    whole = f"GET / HTTP/1.1\r\nHost: {HOST}\r\nAccept-Encoding: gzip\r\nConnection: keep-alive\r\n\r\n".encode()
    found = greetings.find(whole)
    assert found is not None
    assert found.response.endswith(b"\r\n\r\npacked")
    assert greetings.find(whole[:-1]) is None
    assert greetings.find(f"{request_head}\r\n\r\n".encode("latin-1")) is None


def test_what_the_wake_knows_is_said_as_the_application_says_it(greetings: Greetings, tmp_path: Path) -> None:
    manifest = ingest_task(
        IngestRequest(
            TASK, (write_task(tmp_path / "t", {name(1): tarball(Point(run_id(1), "one"))}),), tmp_path.as_uri()
        )
    ).manifest
    settings, progress = ServerSettings(TASK, tmp_path.as_uri(), f"http://{HOST}"), Progress()
    path, body = "/ajax-api/2.0/mlflow/runs/search", b'{"max_results": 5}'
    key = make_key("POST", path, b"", "application/json", body)
    assert key is not None
    asked = {
        "script": ("GET", "/bigpanda/first-look.js", {}, b""),
        "recorded": ("POST", path, {"accept-encoding": "gzip"}, body),
        "plain": ("POST", f"{path}?", {}, body),
        "foreign": ("POST", path, {"origin": "http://x.example"}, body),
        "other": ("POST", path, {}, b'{"max_results": 6}'),
        "anew": ("POST", path, {"cache-control": "no-cache"}, body),
    }
    app = make_app(settings, Wake(settings, tmp_path, progress))

    def greet(method: str, where: str, headers: dict[str, str], content: bytes) -> Greeting | None:
        lines = {"host": HOST, **headers}
        lines |= {"content-type": "application/json", "content-length": str(len(content))} if content else {}
        head = "".join(f"{header}: {value}\r\n" for header, value in lines.items())
        request = f"{method} {where} HTTP/1.1\r\n{head}\r\n".encode() + content
        found = greetings.find(request)
        assert found is None or found.asked == len(request)
        return found

    for known in (False, True):
        with pytest.raises(NotYet):
            greet(*asked["recorded"])
        with pytest.raises(NotYet):
            greet(*asked["script"])
        if not known:
            greetings.follow(progress)
    progress.set(Status(Stage.LOADING, manifest=manifest, answers={key: Answer.of(200, "application/json", b"[1]")}))
    for which, (method, where, headers, content) in asked.items():
        found = greet(method, where, headers, content)
        if which in ("foreign", "other", "anew"):
            assert found is None
            continue
        assert found is not None, which
        kind = {"content-type": "application/json"} if content else {}
        theirs, body_of_theirs = asyncio.run(ask_app(app, method, where, {**kind, **headers}, content))
        head, _, sent = found.response.partition(b"\r\n\r\n")
        ours = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
        assert ours.pop("date")
        assert (ours, sent) == (theirs, body_of_theirs)
    progress.set(Status(Stage.WAITING))
    assert greet(*asked["script"]) is None
    assert greet(*asked["recorded"]) is None


def test_connections_change_hands_with_what_was_not_answered(address: tuple[Greeter, tuple[str, int]]) -> None:
    greeter, where = address
    adopted: Queue[socket.socket] = Queue()
    with (
        socket.create_connection(where, PATIENCE) as greeted,
        socket.create_connection(where, PATIENCE) as waiting,
        socket.create_connection(where, PATIENCE) as gone,
        socket.create_connection(where, PATIENCE) as idle,
    ):
        for _ in range(2):
            greeted.sendall(HEALTH)
            assert read_answer(greeted) == STARTING
        greeted.sendall(HEALTH + HEALTH + b"POST /x HTTP/1.1\r\n")
        assert read_answer(greeted) + read_answer(greeted) == STARTING + STARTING
        waiting.sendall(b"GET /half")
        gone.close()
        idle.sendall(HEALTH)
        assert read_answer(idle) == STARTING
        greeter.hand_over(adopted.put)
        idle.sendall(HEALTH)
        received = set()
        for _ in range(3):
            with adopted.get(timeout=PATIENCE) as connection:
                connection.settimeout(PATIENCE)
                received.add(connection.recv(1000))
        assert received == {b"POST /x HTTP/1.1\r\n", b"GET /half", HEALTH}
        assert adopted.empty()
    # Nobody accepts any more: it waits for the next who listens.
    with socket.create_connection(where, PATIENCE) as late:
        late.sendall(HEALTH)
        late.settimeout(0.2)
        with pytest.raises(TimeoutError):
            late.recv(1)


def test_a_slow_link_gets_all_of_a_file(address: tuple[Greeter, tuple[str, int]], tmp_path: Path) -> None:
    """Longer than a connection may idle, and more than the kernel holds for either side."""
    content = random.Random(1).randbytes(2**24)
    (tmp_path / "gzip" / "index.html").write_bytes(content)
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)
        slow.connect(address[1])
        slow.sendall(f"GET / HTTP/1.1\r\nHost: {HOST}\r\nAccept-Encoding: gzip\r\n\r\n".encode())
        for _ in range(7):
            time.sleep(1)
            slow.recv(2**16)
        slow.settimeout(PATIENCE)
        received = bytearray()
        while not received.endswith(content[-(2**16) :]) and (chunk := slow.recv(2**20)):
            received += chunk
    assert content.endswith(received)
    assert len(received) > len(content) - 8 * 2**16


def test_one_connection_is_served_from_the_first_moment_on(tmp_path: Path) -> None:
    """Whatever the moment at which the application takes over, nothing is lost, and nothing is answered twice."""
    port = free_port()
    with serving((tmp_path / "store").as_uri(), str(tmp_path), {"PORT": str(port)}) as server:
        connections = [socket.create_connection(("127.0.0.1", port), PATIENCE) for _ in range(8)]
        for round_ in range(20):
            for number, connection in enumerate(connections):
                connection.sendall(HEALTH if (number + round_) % 3 else HEALTH.replace(b"health", b"ready"))
            for connection in connections:
                assert read_answer(connection).startswith(b'{"stage":"')
        for connection in connections:
            connection.close()
        assert server.end() == 0


def test_a_taken_port_is_told() -> None:
    with closing(listen("127.0.0.1", 0)) as taken:
        environment = {
            "BIGPANDA_JEDITASKID": "1",
            "BIGPANDA_SNAPSHOT_STORE": "file:///nowhere",
            "BIGPANDA_PUBLIC_URL": "http://task-1.test",
            "HOST": "127.0.0.1",
            "PORT": str(taken.getsockname()[1]),
        }
        ended = subprocess.run(
            [sys.executable, "-m", "mlflow_on_demand.server"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    assert ended.returncode == 2
    assert "Address already in use" in ended.stderr
    assert "Traceback" not in ended.stderr


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port
