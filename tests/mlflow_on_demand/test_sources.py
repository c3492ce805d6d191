"""Where an HTTP source may lead: real servers that send us on, to what may be asked and to what may not."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlflow_on_demand.allowed import export_task
from mlflow_on_demand.errors import AddressRefused, StoreError
from mlflow_on_demand.ingest import IngestRequest, ingest_task
from mlflow_on_demand.reach import PRIVATE_HOSTS
from mlflow_on_demand.sources import find_tarballs
from mlflow_on_demand.tarballs import parse_tarball_name
from support.export_server import PATH, ExportServer, export_server
from support.hpo_files import TASK, Point, name, run_id, tarball, write_task

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


def test_tarballs_are_in_the_order_of_their_names_and_each_is_there_once(tmp_path: Path) -> None:
    digits = "123456789" * 4  # more than any database counts to
    serials = ("2", "10", "0010", "9", digits, f"{digits}0")
    segments = ("muon.", "", "é.", "calo.")
    names = [f"{segment}{TASK}.metrics.{serial}.tgz" for segment in segments for serial in serials]
    uris = [write_task(tmp_path / folder, dict.fromkeys(names, b"")) for folder in ("b", "a")]
    found = find_tarballs(TASK, (*uris, uris[0], f"{uris[1]}/{names[0]}"))
    expected = [(parsed, f"{uri}/{one}") for one in names if (parsed := parse_tarball_name(one, TASK)) for uri in uris]
    assert [(one.name, one.source.uri) for one in found] == sorted(expected)
    assert [one.source for one in found] == list(found.sources)


@pytest.mark.parametrize(
    "uri", ["http://[", "https://host:port/x.tgz", "http:///x.tgz", "nothing", "https://h/x?workloadid=3"]
)
def test_what_is_no_address_is_an_error_of_ours(tmp_path: Path, uri: str) -> None:
    with pytest.raises(StoreError):
        ingest_task(IngestRequest(TASK, (uri,), tmp_path.as_uri()))


def test_which_addresses_are_exports() -> None:
    assert export_task("https://host:8443/idds/downloadhpometrics/?workloadid=30456789") == 30456789
    assert export_task("http://host/downloadhpometrics?workloadid=1") == 1
    for uri in (
        "https://host/?workloadid=1",
        "https://host/downloadhpometrics/",
        "s3://b/downloadhpometrics/?workloadid=1",
    ):
        assert export_task(uri) is None
