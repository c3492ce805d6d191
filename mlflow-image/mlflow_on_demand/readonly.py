"""What a viewer may ask of MLflow: an allow-list of reads; what is not on it is refused, a new MLflow's routes too.

MLflow has no read-only mode, and next to its reads lie routes that start jobs, call gateways or run shell commands.
A test holds this list against every route of the installed MLflow, so that an upgrade makes somebody decide. Pure.
"""

import json
import re
from enum import StrEnum


class Verdict(StrEnum):
    """What becomes of a request."""

    READ = "read"
    GRAPHQL = "graphql"  # a read if its document says so
    REFUSED = "refused"


# Under /api/ and /ajax-api/ alike; <name> stands for one path segment. `GET 3.0/mlflow/label-schemas/list` is not here:
# MLflow 3.17 answers it by writing, where nobody asked before, the experiment's default question.
API_READS = frozenset(
    {
        "GET 2.0/mlflow/artifacts/list",
        "POST 2.0/mlflow/artifacts/presigned-download-url",
        "GET 2.0/mlflow/experiments/get",
        "GET 2.0/mlflow/experiments/get-by-name",
        "GET 2.0/mlflow/experiments/search",
        "POST 2.0/mlflow/experiments/search",
        "POST 2.0/mlflow/experiments/search-datasets",
        "GET 2.0/mlflow/get-trace-artifact",
        "GET 2.0/mlflow/logged-models/<model_id>",
        "GET 2.0/mlflow/logged-models/<model_id>/artifacts/directories",
        "GET 2.0/mlflow/logged-models/<model_id>/artifacts/files",
        "POST 2.0/mlflow/logged-models/search",
        "GET 2.0/mlflow/metrics/get-history",
        "GET 2.0/mlflow/metrics/get-history-bulk",
        "GET 2.0/mlflow/metrics/get-history-bulk-interval",
        "GET 2.0/mlflow/model-versions/get",
        "GET 2.0/mlflow/model-versions/get-download-uri",
        "GET 2.0/mlflow/model-versions/search",
        "GET 2.0/mlflow/registered-models/alias",
        "GET 2.0/mlflow/registered-models/get",
        "GET 2.0/mlflow/registered-models/get-latest-versions",
        "POST 2.0/mlflow/registered-models/get-latest-versions",
        "GET 2.0/mlflow/registered-models/search",
        "GET 2.0/mlflow/runs/get",
        "POST 2.0/mlflow/runs/search",
        "GET 2.0/mlflow/traces",
        "GET 2.0/mlflow/traces/<request_id>/info",
        "GET 3.0/mlflow/datasets/<dataset_id>",
        "GET 3.0/mlflow/datasets/<dataset_id>/experiment-ids",
        "GET 3.0/mlflow/datasets/<dataset_id>/records",
        "GET 3.0/mlflow/datasets/search",
        "POST 3.0/mlflow/datasets/search",
        "GET 3.0/mlflow/get-trace-artifact",
        "GET 3.0/mlflow/issues/<issue_id>",
        "POST 3.0/mlflow/issues/search",
        "GET 3.0/mlflow/label-schemas/get",
        "GET 3.0/mlflow/label-schemas/get-by-name",
        "GET 3.0/mlflow/review-queues/get",
        "GET 3.0/mlflow/review-queues/get-by-name",
        "GET 3.0/mlflow/review-queues/items/list",
        "GET 3.0/mlflow/review-queues/list",
        "GET 3.0/mlflow/scorers/get",
        "GET 3.0/mlflow/scorers/list",
        "GET 3.0/mlflow/scorers/online-configs",
        "GET 3.0/mlflow/scorers/versions",
        "GET 3.0/mlflow/server-info",
        "GET 3.0/mlflow/traces/<trace_id>",
        "GET 3.0/mlflow/traces/<trace_id>/assessments/<assessment_id>",
        "GET 3.0/mlflow/traces/batchGet",
        "POST 3.0/mlflow/traces/batchGetInfos",
        "POST 3.0/mlflow/traces/calculate-filter-correlation",
        "GET 3.0/mlflow/traces/get",
        "POST 3.0/mlflow/traces/metrics",
        "POST 3.0/mlflow/traces/search",
        "GET 3.0/mlflow/ui-telemetry",
        "GET 3.0/mlflow/workspaces",
    }
)
OTHER_READS = frozenset({"GET /get-artifact", "GET /model-versions/get-artifact", "GET /version"})
GRAPHQL = "POST /graphql"

# What MLflow's page asks of parts that are never mounted here: it is told that they are there and empty.
CONSTANTS: dict[str, object] = {
    "/ajax-api/2.0/mlflow/gateway-proxy": {"endpoints": []},
    "/ajax-api/3.0/mlflow/assistant/config": {"providers": {}, "projects": {}, "remote_access_allowed": False},
    "/ajax-api/3.0/mlflow/assistant/providers": {"providers": [], "resolved": None, "gateway_vendor_options": {}},
}


def _pattern(routes: frozenset[str]) -> re.Pattern[str]:
    """One expression for all routes; a fixed segment wins over a placeholder because any match is as good."""
    alternatives = (re.sub(r"<\w+>", "[^/]+", re.escape(route).replace(r"\ ", " ")) for route in sorted(routes))
    return re.compile("|".join(alternatives))


_API = _pattern(API_READS)


def judge(method: str, path: str) -> Verdict:
    """The verdict on a request line; HEAD counts as GET."""
    asked = "GET" if method == "HEAD" else method
    if f"{asked} {path}" in OTHER_READS:
        return Verdict.READ
    if f"{asked} {path}" == GRAPHQL:
        return Verdict.GRAPHQL
    for prefix in ("/api/", "/ajax-api/"):
        if path.startswith(prefix) and _API.fullmatch(f"{asked} {path.removeprefix(prefix)}"):
            return Verdict.READ
    return Verdict.REFUSED


def is_graphql_read(body: bytes) -> bool:
    """Whether a GraphQL request holds queries only: no mutation, no subscription, and nothing that cannot be parsed."""
    from graphql import GraphQLError, OperationDefinitionNode, OperationType, parse

    try:
        document = parse(json.loads(body)["query"])
    except (ValueError, TypeError, KeyError, RecursionError, GraphQLError):
        return False
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    return bool(operations) and all(node.operation is OperationType.QUERY for node in operations)


def refusal(method: str, path: str) -> dict[str, str]:
    """MLflow's own form of an error, with a sentence for whoever reads it."""
    return {
        "error_code": "PERMISSION_DENIED",
        "message": f"This MLflow shows a task's results and cannot be changed: {method} {path} is not allowed.",
    }
