"""Bearer tokens that rotate while a store is open, and what is said of one that is over, on a real server with TLS."""

import base64
import json
from pathlib import Path

import pytest

from mlflow_on_demand.errors import AccessDenied
from mlflow_on_demand.stores import open_store
from support.http_servers import Apache


def make_token(end: int) -> str:
    """What a token says of itself, signed by nobody."""
    claims = base64.urlsafe_b64encode(json.dumps({"exp": end, "sub": "telltale"}).encode()).decode().rstrip("=")
    return f"e30.{claims}.telltale"


def test_a_store_goes_on_with_the_token_that_lies_there_now(
    apache: Apache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "token"
    monkeypatch.setenv("SSL_CERT_FILE", str(apache.authorities))
    monkeypatch.setenv("BEARER_TOKEN_FILE", str(file))
    (apache.folder / "plain" / "x").write_bytes(b"content")
    store = open_store(f"{apache.tls}/secret")
    with pytest.raises(AccessDenied, match=f"BEARER_TOKEN_FILE names '{file}'"):
        store.read("x")
    for token, said in (
        (make_token(1_000_000_000), "the bearer token was sent, which ended at 2001-09-09 01:46:40 UTC"),
        (make_token(4_000_000_000), r"the bearer token was sent\)"),
    ):
        file.write_text(token)
        with pytest.raises(AccessDenied, match=said) as caught:
            store.read("x")
        assert "telltale" not in str(caught.value)
        file.write_text(f"{apache.token}\n")
        assert store.read("x") == b"content"
