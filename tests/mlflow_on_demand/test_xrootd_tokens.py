"""A server that knows its clients by the tokens of one issuer, over TLS."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlflow_on_demand.bearer_token import end_of_token
from support.xrootd_security import Issuer
from support.xrootd_server import ground, serving_xrootd
from support.xrootd_use import FINE, use_elsewhere

Server = tuple[str, dict[str, str]]


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture(scope="module")
def server(issuer: Issuer) -> Iterator[Server]:
    """The URI of a store, and what its clients need beside a token."""
    with ground() as place:
        lines = issuer.lines(place)
        with serving_xrootd(place, *lines) as server:
            yield server.uri("x", "roots"), {"X509_CERT_FILE": str(place.folder / "ca.pem")}


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_token_from_a_file(server: Server, issuer: Issuer, tmp_path: Path, mode: int) -> None:
    """Whoever may read it: Kubernetes mounts a Secret for its group."""
    uri, needed = server
    file = tmp_path / "token"
    file.write_text(f"{issuer.token(600)}\n")
    file.chmod(mode)
    assert use_elsewhere(uri, BEARER_TOKEN_FILE=str(file), **needed) == FINE


def test_a_token_from_where_wlcg_looks(server: Server, issuer: Issuer, tmp_path: Path) -> None:
    uri, needed = server
    assert use_elsewhere(uri, BEARER_TOKEN=issuer.token(600), **needed) == FINE
    (tmp_path / f"bt_u{os.geteuid()}").write_text(issuer.token(600))
    assert use_elsewhere(uri, XDG_RUNTIME_DIR=str(tmp_path), **needed) == FINE


def test_a_token_that_is_refused(server: Server, issuer: Issuer, tmp_path: Path) -> None:
    uri, needed = server
    ended, reading = issuer.token(-600), issuer.token(600, "storage.read:/")
    for token, reason in {
        ended: "the bearer token ended at 20",
        reading: "it does not accept what BEARER_TOKEN says",
        Issuer().token(600): "it does not accept what BEARER_TOKEN says",
    }.items():
        said = use_elsewhere(uri, BEARER_TOKEN=token, **needed)
        assert said.startswith("AccessDenied")
        assert reason in said
        assert token not in said
    assert "BEARER_TOKEN_FILE names" in use_elsewhere(uri, BEARER_TOKEN_FILE=str(tmp_path / "none"), **needed)


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_token_that_is_rotated(server: Server, issuer: Issuer, tmp_path: Path, mode: int) -> None:
    """The connection that the first one opened may only read; the process goes on and writes."""
    uri, needed = server
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text(issuer.token(600, "storage.read:/"))
    second.write_text(issuer.token(600))
    for file in (first, second):
        file.chmod(mode)
    said = use_elsewhere(uri, BEARER_TOKEN_FILE=str(first), ROTATE_TO=str(second), **needed).splitlines()
    assert said[0].startswith("AccessDenied")
    assert said[1] == FINE


@pytest.mark.parametrize(
    "token", ["", "opaque", "a.b.c", "a.e30.c", "a.MQ.c", "a.eyJleHAiOiAieCJ9.c", "a.eyJleHAiOiAxZTk5fQ.c", "a.é.c"]
)
def test_a_token_that_does_not_say_when_it_ends(token: str) -> None:
    assert end_of_token(token) is None
