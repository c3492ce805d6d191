"""The allow-list against every route of the installed MLflow: an upgrade that adds one fails until somebody decides."""

import ast
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_on_demand.mlflow_facts import package_dir
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

# MLflow 3.17 calls what newer releases of SQLAlchemy deprecate, when it is imported.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

# Routes looked at and not allowed, by MLflow's own rules; `/api/` and `/ajax-api/` are one.
REFUSED = frozenset(Path(__file__).with_name("refused_routes.txt").read_text().split("\n")) - {""}
# Served by ourselves, or shadowed by what we serve.
OURS = {"GET /", "GET /health", "GET /static-files/<path:path>"}
# Every one of these is part of MLflow's FastAPI application, which is not mounted at all.
NEVER_MOUNTED = {
    "artifact_router",
    "assistant_router",
    "gateway_router",
    "job_api_router",
    "mcp_server_router",
    "otel_router",
    "server_info_router",
}


def flask_routes() -> set[str]:
    from mlflow.server import app

    return {
        f"{method} {re.sub('^/(ajax-)?api/', '', rule.rule)}"
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def fill(rule: str) -> str:
    return re.sub(r"<[^>]+>", "some-value", rule)


@pytest.fixture(scope="module")
def routes() -> set[str]:
    return flask_routes()


def test_every_route_was_decided_upon(routes: set[str]) -> None:
    assert routes == API_READS | OTHER_READS | {GRAPHQL, "GET /graphql"} | OURS | REFUSED


def test_nothing_is_both_allowed_and_refused() -> None:
    assert not (API_READS | OTHER_READS) & REFUSED


def test_the_fastapi_application_is_made_of_the_routers_we_know() -> None:
    tree = ast.parse((package_dir() / "server" / "fastapi_app.py").read_text())
    included = {
        node.args[0].id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "include_router"
        and isinstance(node.args[0], ast.Name)
    }
    assert included == NEVER_MOUNTED


def fastapi_routes() -> list[tuple[str, str]]:
    found = []
    for source in (package_dir() / "server").rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                path = node.args[0]
                if node.func.attr in {"get", "post", "put", "patch", "delete"} and "router" in ast.unparse(node.func):
                    written = str(path.value) if isinstance(path, ast.Constant) else "/computed"
                    found.append((node.func.attr.upper(), written))
    return found


def test_what_changes_something_is_refused_wherever_it_is_routed() -> None:
    known = fastapi_routes()
    assert len(known) > 50
    for method, path in known:
        for prefix in ("", "/ajax-api/3.0/mlflow", "/api/3.0/mlflow", "/ajax-api/3.0/mlflow/assistant"):
            if method != "GET":
                assert judge(method, prefix + re.sub(r"{[^}]+}", "x", path)) is Verdict.REFUSED, (method, prefix, path)


@pytest.mark.parametrize("prefix", ["/api/", "/ajax-api/"])
def test_reads_pass_under_both_prefixes(prefix: str) -> None:
    for route in API_READS:
        method, rule = route.split(" ")
        assert judge(method, prefix + fill(rule)) is Verdict.READ
        if method == "GET":
            assert judge("HEAD", prefix + fill(rule)) is Verdict.READ


def test_refused_routes_are_refused() -> None:
    for route in REFUSED:
        method, rule = route.split(" ")
        paths = [rule] if rule.startswith("/") else [f"/api/{rule}", f"/ajax-api/{rule}"]
        # A fixed word may look like an id to a read: MLflow's own router then refuses the method or finds nothing.
        for path in paths:
            assert judge(method, fill(path)) is Verdict.REFUSED or "<" not in rule, route


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
