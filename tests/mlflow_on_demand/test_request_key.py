import json

import pytest

from mlflow_on_demand.request_key import make_key

PATH = "/ajax-api/2.0/mlflow/runs/search"


def post(body: str | bytes, content_type: str = "application/json", query: bytes = b"") -> str | None:
    return make_key("POST", PATH, query, content_type, body if isinstance(body, bytes) else body.encode())


def get(query: bytes) -> str | None:
    return make_key("GET", PATH, query)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (post('{"a": 1, "b": {"c": [1, 2], "d": null}}'), post('{"b":{"d":null,"c":[1,2]},\n"a":1}')),
        (post('{"x": 1.50}'), post('{"x": 15e-1}')),
        (post('{"x": "\\u00fc\\/"}'), post('{"x": "ü/"}')),
        (post('{"x": 1}'), post('{"x": 1}', "application/json; charset=utf-8")),
        (post('{"x": 1}'), post('{"x": 1}'.encode("utf-16"))),
        (post("{}", query=b"b=2&a=1"), post("{}", query=b"a=1&b=2")),
        (get(b"run_ids=a&metric_key=m&run_ids=b"), get(b"metric_key=m&run_ids=a&run_ids=b")),
        (get(b"k=a%20b%2Fc"), get(b"k=a+b/c")),
        (get(b"k=%C3%BC"), get(b"k=%c3%bc")),
    ],
)
def test_these_are_the_same(one: str | None, other: str | None) -> None:
    assert one is not None
    assert one == other


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (post('{"x": 1}'), post('{"x": 1.0}')),
        (post('{"x": 1}'), post('{"x": "1"}')),
        (post('{"x": 1}'), post('{"x": true}')),
        (post('{"x": null}'), post("{}")),
        (post('{"x": [1, 2]}'), post('{"x": [2, 1]}')),
        (post('{"x": "\\u00fc"}'), post('{"x": "u\\u0308"}')),  # MLflow compares names as they are
        (post("{}"), post("{}", query=b"a=1")),
        (post("9007199254740993"), post("9007199254740992")),
        (get(b"a=1"), get(b"a=1&a=1")),
        (get(b"run_ids=a&run_ids=b"), get(b"run_ids=b&run_ids=a")),
        (get(b"a="), get(b"")),
        (get(b"k=a%2Bb"), get(b"k=a+b")),
        (get(b"a=1"), make_key("GET", PATH + "/", b"a=1")),
        (get(b"a=1"), make_key("POST", PATH, b"a=1", "application/json", b"null")),
    ],
)
def test_these_are_not(one: str | None, other: str | None) -> None:
    assert one is not None
    assert one != other


@pytest.mark.parametrize(
    "key",
    [
        make_key("HEAD", PATH),
        make_key("PUT", PATH, b"", "application/json", b"{}"),
        make_key("GET", PATH, b"", "application/json", b"{}"),  # MLflow reads it when there is no query
        make_key("POST", PATH, b"", "application/json"),
        post("{}", ""),
        post("{}", "text/plain"),
        post("{}", "Application/JSON"),  # MLflow refuses it
        post("{"),
        post(b"\xff"),
        post('{"x": NaN}'),
        post('{"x": 1e999}'),
        post("[" * 100_000),
        get(b"k=%ff"),
        get("k=ü".encode()),
    ],
)
def test_these_go_to_mlflow_whatever_is_recorded(key: str | None) -> None:
    assert key is None


def test_a_key_says_what_was_asked() -> None:
    key = post('{"b": 1, "a": "ü"}', query=b"q=1")
    assert key is not None
    assert json.loads(key) == ["POST", PATH, [["q", "1"]], {"a": "ü", "b": 1}]
