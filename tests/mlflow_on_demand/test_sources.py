"""Where an HTTP source may lead: real servers that send us on, to what may be asked and to what may not."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlflow_on_demand.errors import AddressRefused, StoreError
from mlflow_on_demand.ingest import IngestRequest, ingest_task
from mlflow_on_demand.reach import PRIVATE_HOSTS
from support.export_server import PATH, ExportServer, export_server
from support.hpo_files import TASK, Point, name, run_id, tarball

FILE = f"/hpo/{name(1)}"
CONTENT = tarball(Point(run_id(1)))


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> Iterator[ExportServer]:
    """The server that an event names, and the deployment lists."""
    with export_server() as found:
        monkeypatch.setenv(PRIVATE_HOSTS, f"localhost:{found.port}")
        yield found


@pytest.fixture
def other() -> Iterator[ExportServer]:
    """Another server on this machine, which has the tarball."""
    with export_server() as found:
        found.files[FILE] = CONTENT
        found.export([(name(1), CONTENT)])
        yield found


def ingest(server: ExportServer, folder: Path, path: str = FILE) -> int:
    uri = f"http://localhost:{server.port}{path}"
    return ingest_task(IngestRequest(TASK, (uri,), folder.as_uri())).manifest.runs


EXPORT = f"{PATH}?workloadid={TASK}"


@pytest.mark.parametrize("path", [FILE, EXPORT])
@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("http://169.254.169.254/latest/meta-data/iam/", "link-local"),
        ("http://[fd00:ec2::254]/latest/", "private"),
        ("http://localhost:{other}{path}", "loopback"),
        ("http://127.0.0.1:{other}{path}", "loopback"),
        ("http://[::ffff:127.0.0.1]:{other}{path}", "loopback"),
        ("http://2130706433:{other}{path}", "loopback"),
        ("http://0:{other}{path}", "unspecified"),
        ("//127.0.0.1:{other}{path}", "loopback"),
    ],
)
def test_a_redirect_to_where_nobody_may_ask_is_refused(
    named: ExportServer, other: ExportServer, tmp_path: Path, *, target: str, kind: str, path: str
) -> None:
    named.moved[path.partition("?")[0]] = target.format(other=other.port, path=path)
    with pytest.raises(AddressRefused, match=kind) as caught:
        ingest(named, tmp_path, path)
    assert not caught.value.transient
    assert other.asked == []


@pytest.mark.parametrize("path", [FILE, EXPORT])
def test_a_redirect_to_a_listed_host_is_followed_hop_by_hop(
    named: ExportServer, other: ExportServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setenv(PRIVATE_HOSTS, f"localhost:{named.port},localhost:{other.port}")
    plain = path.partition("?")[0]
    named.moved[plain] = f"http://localhost:{named.port}/hop"
    named.moved["/hop"] = f"http://localhost:{other.port}{path}"
    assert ingest(named, tmp_path, path) == 1
    other.moved[plain] = "http://169.254.169.254/"  # listed hosts may send us on no further than others
    with pytest.raises(AddressRefused, match="link-local"):
        ingest(named, tmp_path / "again", path)


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "gopher://localhost/", "http://user@localhost/", "http://h:99999/"]
)
def test_a_redirect_out_of_http_is_refused(named: ExportServer, tmp_path: Path, target: str) -> None:
    named.moved[FILE] = target
    with pytest.raises(StoreError, match="to an address that is none"):
        ingest(named, tmp_path)


def test_no_redirect_and_no_port_beside_it_is_asked(named: ExportServer, other: ExportServer, tmp_path: Path) -> None:
    with pytest.raises(AddressRefused, match=f"'localhost' has a loopback address, and {PRIVATE_HOSTS} does not"):
        ingest(other, tmp_path)
    assert other.asked == []
    named.files[FILE] = CONTENT
    assert ingest(named, tmp_path) == 1


def test_the_address_that_was_looked_at_is_the_one_that_is_asked(
    named: ExportServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that means another address each time it is asked for (DNS rebinding): it is asked for once a request."""
    named.files[FILE] = CONTENT
    monkeypatch.setenv(PRIVATE_HOSTS, "moving.example.org")
    resolve = socket.getaddrinfo
    asked: list[str] = []

    def moving(host: Any, *arguments: Any, **more: Any) -> Any:
        asked.append(str(host))
        if host == "moving.example.org":
            return resolve("127.0.0.1", *arguments, **more)
        return resolve(host, *arguments, **more)

    monkeypatch.setattr(socket, "getaddrinfo", moving)
    uri = f"http://moving.example.org:{named.port}{FILE}"
    assert ingest_task(IngestRequest(TASK, (uri,), tmp_path.as_uri())).manifest.runs == 1
    assert asked.count("moving.example.org") == len(named.asked)
    assert set(asked) == {"moving.example.org", "127.0.0.1"}
    assert {headers["Host"] for headers in named.headers} == {f"moving.example.org:{named.port}"}
