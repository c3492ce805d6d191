"""What is not a read, asked of a server that is ready: every route of MLflow, whoever asks."""

import json

import pytest

from mlflow_on_demand.readonly import CONSTANTS
from support.both_servers import Both
from support.mlflow_routes import NEVER_MOUNTED, REFUSED, spell
from support.parity_requests import Read

pytestmark = pytest.mark.usefixtures("both")


def ask(both: Both, method: str, path: str) -> tuple[int, object]:
    answer = both.ask_ours(Read(f"{method} {path}", path, b"{}" if method != "GET" else None))
    kind = answer.headers["content-type"]
    return answer.status_code, answer.json() if kind == "application/json" else answer.text


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE", "GET"])
def test_a_refusal_is_mlflows_own_error_with_a_sentence(method: str, both: Both) -> None:
    paths = [
        path for route in REFUSED | NEVER_MOUNTED for path in spell(route.split(" ")[1]) if route.startswith(method)
    ]
    assert len(paths) > 5
    for path in paths:
        sentence = f"This MLflow shows a task's results and cannot be changed: {method} {path} is not allowed."
        expected: tuple[int, object] = (403, {"error_code": "PERMISSION_DENIED", "message": sentence})
        if method == "GET" and path in CONSTANTS:
            expected = (200, CONSTANTS[path])
        elif method == "GET" and not path.startswith(("/api/", "/ajax-api/")):
            expected = (404, "There is nothing here.")
        assert ask(both, method, path) == expected


@pytest.mark.parametrize(
    "query",
    [
        'mutation { testMutation(inputString: "x") { output } }',
        "mutation M($i: MlflowSearchRunsInput!) { mlflowSearchRuns(input: $i) { runs { info { runName } } } }",
        'query A { test(inputString: "x") { output } } mutation B { testMutation(inputString: "x") { output } }',
        "subscription { test }",
        "query {",
    ],
)
def test_graphql_that_is_no_query(query: str, both: Both) -> None:
    body = json.dumps({"query": query, "operationName": "B", "variables": {"i": {}}}).encode()
    answer = both.ask_ours(Read("POST /graphql", "/graphql", body))
    assert (answer.status_code, answer.json()["error_code"]) == (403, "PERMISSION_DENIED")
    assert answer.json()["message"].endswith("cannot be changed: POST /graphql is not allowed.")
