import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_on_demand.registry import (
    ModelVersion,
    RegisteredModel,
    find_member,
    read_model_version,
    read_registered_model,
    read_version,
    renumber,
)

RUN = "a" * 32


@pytest.mark.parametrize(
    ("meta", "model"),
    [
        (
            b"name: net\ncreation_timestamp: 5\nlast_updated_timestamp: 6\ndescription: what\n",
            RegisteredModel("net", 5, 6, "what"),
        ),
        (b"creation_timestamp: soon\n", RegisteredModel("folder", None, None, None)),
        (b"name: a/b\n", None),
        (b"name: a:b\n", None),
        (b"name: ..\n", None),
        (b"name: ' '\n", None),
        (b"", None),
    ],
)
def test_a_registered_model(meta: bytes, model: RegisteredModel | None) -> None:
    assert read_registered_model("folder", meta) == model


def test_a_model_version() -> None:
    meta = (
        b"version: 3\ncreation_timestamp: 5\nlast_updated_timestamp: 6\ndescription: d\nuser_id: u\n"
        b"current_stage: Production\nsource: s\nstorage_location: l\nrun_id: r\nrun_link: k\nstatus: READY\n"
        b"status_message: m\n"
    )
    whole = ModelVersion(3, 5, 6, "d", "u", "Production", "s", "l", "r", "k", "READY", "m")
    assert read_model_version(meta) == whole
    bare = read_model_version(b"version: '2'\n")
    assert bare is not None
    assert (bare.version, bare.current_stage, bare.status) == (2, "None", "READY")
    assert read_model_version(b"name: net\n") is None


@pytest.mark.parametrize(
    ("text", "version"),
    [("1", 1), (" 12\n", 12), ("0", None), ("-1", None), ("1.0", None), ("9" * 20, None), ("²", None), ("", None)],
)
def test_a_versions_number(text: str, version: int | None) -> None:
    assert read_version(text) == version


@pytest.mark.parametrize(
    ("uri", "member"),
    [
        (f"file:///srv/workDir/mlruns/1/{RUN}/artifacts/net", f"{RUN}/artifacts/net"),
        (f"file:///srv/1/{RUN}/artifacts/a%20b/gr%C3%B6%C3%9Fe", f"{RUN}/artifacts/a%20b/gr%C3%B6%C3%9Fe"),
        (f"/srv/mlruns/1/{RUN}/artifacts/50% off?", f"{RUN}/artifacts/50%25%20off%3F"),
        (f"mlruns/1/{RUN}/artifacts", f"{RUN}/artifacts"),
        ("file:///srv/mlruns/1/models/m-1/artifacts", "models/m-1/artifacts"),
        ("models:/m-1", "models/m-1/artifacts"),
        ("models:/net/1", None),
        ("models:/", None),
        ("s3://bucket/mlruns/1/x/artifacts", None),
        ("file:///etc", None),
        (f"file:///srv/mlruns/1/{RUN}", None),
        ("http://[", None),
        ("", None),
        (None, None),
    ],
)
def test_where_a_worker_nodes_address_is_in_the_snapshot(uri: str | None, member: str | None) -> None:
    assert find_member(uri) == member


def test_what_names_a_version_gets_its_new_number() -> None:
    said = [{"name": "net", "version": 1}, {"name": "net", "version": "2"}, {"name": "other", "version": 1}, 5, "x"]
    tags = {"mlflow.modelVersions": json.dumps(said), "mlflow.linkedPrompts": "{nonsense", "other": '[{"name": "net"}]'}
    changed = renumber(tags, {("net", 1): 7, ("net", 2): 2})
    assert json.loads(changed.pop("mlflow.modelVersions")) == [{"name": "net", "version": 7}, *said[1:]]
    assert changed == {key: value for key, value in tags.items() if key != "mlflow.modelVersions"}
    assert renumber(tags, {("net", 1): 1}) == tags


@given(st.binary(max_size=200), st.text(max_size=50))
def test_anything_is_something_or_none(content: bytes, text: str) -> None:
    read_registered_model("folder", content)
    read_model_version(content)
    find_member(text)
    renumber({"mlflow.linkedPrompts": text}, {("a", 1): 2})
