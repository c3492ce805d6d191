"""Tokens are found where WLCG's tools find them, and read anew each time."""

import os
from pathlib import Path

import pytest

from mlflow_on_demand import bearer_token
from mlflow_on_demand.bearer_token import find_bearer_token
from mlflow_on_demand.errors import AccessDenied


@pytest.fixture(autouse=True)
def no_token_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(bearer_token, "_SHARED", tmp_path / "shared")
    (tmp_path / "shared").mkdir()
    return tmp_path / "shared"


def test_the_order_is_that_of_the_discovery(tmp_path: Path, no_token_of_the_machine: Path) -> None:
    name = f"bt_u{os.geteuid()}"
    assert find_bearer_token({}) is None
    (no_token_of_the_machine / name).write_text("shared\n")
    assert find_bearer_token({}) == "shared"
    env = {"XDG_RUNTIME_DIR": str(tmp_path)}
    assert find_bearer_token(env) == "shared"
    (tmp_path / name).write_text(" \n")
    assert find_bearer_token(env) == "shared"
    (tmp_path / name).write_text("of the session")
    assert find_bearer_token(env) == "of the session"
    (tmp_path / "named").write_text("named\n")
    env["BEARER_TOKEN_FILE"] = str(tmp_path / "named")
    assert find_bearer_token(env) == "named"
    assert find_bearer_token({**env, "BEARER_TOKEN": " direct "}) == "direct"
    assert find_bearer_token({**env, "BEARER_TOKEN": " "}) == "named"


def test_a_new_token_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "token"
    for token in ("first", "second"):
        path.write_text(token)
        assert find_bearer_token({"BEARER_TOKEN_FILE": str(path)}) == token


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "cannot be read"), (b" \n", "is empty"), (b"\xff", "cannot be")]
)
def test_a_named_file_without_a_token_is_an_error(tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AccessDenied, match=rf"{reason}.*BEARER_TOKEN_FILE names '.*token'"):
        find_bearer_token({"BEARER_TOKEN_FILE": str(path)})
