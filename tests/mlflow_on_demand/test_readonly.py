"""The allow-list against every route of the installed MLflow: an upgrade that adds one fails until somebody decides."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_on_demand.readonly import (
    API_READS,
    CONSTANTS,
    GRAPHQL,
    OTHER_READS,
    Verdict,
    is_graphql_read,
    judge,
    refusal,
)
from support.mlflow_routes import NEVER_MOUNTED, REFUSED, fastapi_routes, flask_routes, spell

# MLflow 3.17 calls what newer releases of SQLAlchemy deprecate, when it is imported.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

# Served by ourselves, or shadowed by what we serve.
OURS = {"GET /", "GET /health", "GET /static-files/<path:path>"}


@pytest.fixture(scope="module")
def routes() -> set[str]:
    return flask_routes()


def test_every_route_was_decided_upon(routes: set[str]) -> None:
    assert routes == API_READS | OTHER_READS | {GRAPHQL, "GET /graphql"} | OURS | REFUSED


def test_nothing_is_both_allowed_and_refused() -> None:
    assert not (API_READS | OTHER_READS) & REFUSED


def test_every_route_of_fastapi_was_decided_upon() -> None:
    """MLflow's FastAPI application is not mounted: what of it the page needs, Flask has too, or we serve."""
    assert fastapi_routes() == NEVER_MOUNTED | {"GET /health", "GET 3.0/mlflow/server-info", "Mount "}


@pytest.mark.parametrize("prefix", ["/api/", "/ajax-api/"])
def test_reads_pass_under_both_prefixes(prefix: str) -> None:
    for route in API_READS:
        method, rule = route.split(" ")
        path = next(path for path in spell(rule) if path.startswith(prefix))
        assert judge(method, path) is Verdict.READ
        if method == "GET":
            assert judge("HEAD", path) is Verdict.READ


def test_refused_routes_are_refused() -> None:
    """An allowed rule with a parameter must not cover a refused route's fixed words either."""
    for method, rule in (route.split(" ") for route in REFUSED | NEVER_MOUNTED):
        for path in spell(rule):
            assert judge(method, path) is Verdict.REFUSED, (method, path)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/2.0/mlflow/experiments/get/"),
        ("GET", "/api//2.0/mlflow/experiments/get"),
        ("GET", "/API/2.0/mlflow/experiments/get"),
        ("GET", "/api/2.0/mlflow/logged-models/a/b"),
        ("GET", "/api/2.0/mlflow/logged-models/"),
        ("PUT", "/api/2.0/mlflow/experiments/get"),
        ("DELETE", "/api/3.0/mlflow/traces/x"),
        ("OPTIONS", "/api/2.0/mlflow/runs/search"),
        ("get", "/api/2.0/mlflow/experiments/get"),
        ("GET", "/graphql"),
        ("GET", "/api/2.0/mlflow/experiments/get\n"),
    ],
)
def test_near_misses_are_refused(method: str, path: str) -> None:
    assert judge(method, path) is Verdict.REFUSED


@given(st.text(), st.text())
def test_anything_else_is_refused(method: str, path: str) -> None:
    assert judge(method, path) is Verdict.REFUSED


def body(query: object) -> bytes:
    return json.dumps({"query": query, "operationName": "X", "variables": {}}).encode()


def test_graphql_reads() -> None:
    assert judge("POST", "/graphql") is Verdict.GRAPHQL
    assert is_graphql_read(body("query A { mlflowGetRun { run { info { runId } } } }"))
    assert is_graphql_read(body("{ a } "))
    assert is_graphql_read(body("query A { ...f } fragment f on Q { a }"))


@pytest.mark.parametrize(
    "content",
    [
        body("mutation A { a }"),
        body("subscription A { a }"),
        body("query A { a } mutation B { b }"),
        body("fragment f on Q { a }"),
        body("query {"),
        body(None),
        body(["{ a }"]),
        body("{ a " + "{ a " * 5000 + "}" * 5001),
        b"",
        b"[]",
        b"null",
        b"\xff",
    ],
)
def test_graphql_that_is_no_read(content: bytes) -> None:
    assert not is_graphql_read(content)


def test_constants_are_told_for_what_is_never_mounted(routes: set[str]) -> None:
    for path in CONSTANTS:
        assert judge("GET", path) is Verdict.REFUSED
        assert json.dumps(CONSTANTS[path])


def test_a_refusal_has_mlflows_form() -> None:
    assert refusal("POST", "/x") == {
        "error_code": "PERMISSION_DENIED",
        "message": "This MLflow shows a task's results and cannot be changed: POST /x is not allowed.",
    }
