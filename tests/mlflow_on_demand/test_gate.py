import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_on_demand.gate import Gate, mlflow_allowed_hosts, mlflow_allowed_origins
from mlflow_on_demand.settings import ServerSettings

HOST = "task-7.bigpanda.example"
GATE = Gate(HOST)
SETTINGS = ServerSettings(7, "file:///x", f"https://{HOST}:8443")


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        (HOST, ""),
        (f"{HOST}:8080", ""),
        (HOST.upper(), ""),
        (f"candidate-{HOST}", ""),
        ("candidate-task-7.bigpanda.svc.cluster.local", ""),
        ("localhost:1234", ""),
        ("127.0.0.1", ""),
        ("[::1]:80", ""),
        (HOST, f"https://{HOST}"),
        (f"candidate-{HOST}", f"https://candidate-{HOST}"),
        ("localhost:1234", "http://localhost:1234"),
    ],
)
def test_our_own_are_let_in(host: str, origin: str) -> None:
    assert GATE.refuse("/", host, origin) is None


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        f"evil.example.{HOST}",
        f"x.{HOST}",
        f"{HOST}.evil.example",
        "task-77.bigpanda.example",
        "svc.cluster.local",
        "task-7.bigpanda.svc.cluster.local.evil.example",
        "[::1",
    ],
)
def test_foreign_hosts_are_refused(host: str) -> None:
    assert GATE.refuse("/", host, "") == "This server does not answer to that host name."
    assert GATE.refuse("/health", host, "") is None


@pytest.mark.parametrize(
    "origin",
    ["null", "https://evil.example", "http://localhost:3000", "https://task-8.bigpanda.example", "http://[::1"],
)
def test_foreign_origins_are_refused(origin: str) -> None:
    assert GATE.refuse("/graphql", HOST, origin) == "This server does not answer to pages of other sites."


@given(st.text(), st.text(), st.text())
def test_any_header_gets_an_answer(path: str, host: str, origin: str) -> None:
    GATE.refuse(path, host, origin)


def test_mlflow_is_told_the_same() -> None:
    assert mlflow_allowed_hosts(SETTINGS).split(",") == [
        HOST,
        f"*-{HOST}",
        "*.svc.cluster.local",
        "localhost",
        "127.0.0.1",
        "[::1]",
        f"{HOST}:*",
        f"*-{HOST}:*",
        "*.svc.cluster.local:*",
        "localhost:*",
        "127.0.0.1:*",
        "[[]::1]:*",
    ]
    assert mlflow_allowed_origins(SETTINGS).split(",") == [
        f"https://{HOST}",
        f"https://*-{HOST}",
        f"https://{HOST}:*",
        f"https://*-{HOST}:*",
    ]
