"""The first moments of a server: what answers then, and how its connections change hands."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from queue import Queue

import pytest

from mlflow_on_demand.gate import Gate
from mlflow_on_demand.greeter import Greeter, listen
from mlflow_on_demand.greetings import Greetings
from mlflow_on_demand.negotiation import IDENTITY
from mlflow_on_demand.ui_pack import UiFile, UiPack
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
