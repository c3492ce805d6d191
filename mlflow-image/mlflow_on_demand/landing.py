"""What MLflow's page asks when it opens on an experiment as the first look arranges it, before anybody clicks.

Found by watching a browser, many times: some requests appear in a race, charts below the fold ask when they come into
sight. A test opens the page and fails when it asks for more. Pure; the texts are those of MLflow 3.17's page.
"""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from mlflow_on_demand.first_look import make_view
from mlflow_on_demand.request_key import make_key
from mlflow_on_demand.snapshot import Experiment, Objective

_API = "/ajax-api/2.0/mlflow"
SEARCH_RUNS = f"{_API}/runs/search"

# The page charts the first runs of its table only, and asks for so many points of each.
_CHARTED_RUNS = 10
_CHART_POINTS = 320
_PAGE_OF_RUNS = 100

_GET_EXPERIMENT = """query MlflowGetExperimentQuery($input: MlflowGetExperimentInput!) \
@component(name: "MLflow.ExperimentRunTracking") {
  mlflowGetExperiment(input: $input) {
    apiError {
      code
      message
      __typename
    }
    experiment {
      artifactLocation
      creationTime
      effectiveTraceArchivalRetention
      experimentId
      lastUpdateTime
      lifecycleStage
      name
      tags {
        key
        value
        __typename
      }
      __typename
    }
    __typename
  }
}
"""


@dataclass(frozen=True)
class Asked:
    """One request of the page: a GET with `query`, or a POST with `body` when there is one."""

    path: str
    query: str = ""
    body: bytes = b""

    @property
    def method(self) -> str:
        """GET or POST."""
        return "POST" if self.body else "GET"

    @property
    def key(self) -> str:
        """See `request_key`."""
        key = make_key(self.method, self.path, self.query.encode(), "application/json", self.body)
        assert key is not None
        return key


def plan_landing(experiment: Experiment, objective: Objective | None) -> tuple[Asked, ...]:
    """All but the charts' own requests; the search of runs, which says what the charts will ask, is the last."""
    ids = [experiment.id]
    newest = [{"field_name": "creation_time", "ascending": False}]
    order = make_view(experiment, objective)
    search = {
        "experiment_ids": ids,
        "run_view_type": "ACTIVE_ONLY",
        "max_results": _PAGE_OF_RUNS,
        "order_by": [f"{order['orderByKey']} {'ASC' if order['orderByAsc'] else 'DESC'}"],
    }
    graphql = {
        "operationName": "MlflowGetExperimentQuery",
        "variables": {"input": {"experimentId": experiment.id}},
        "query": _GET_EXPERIMENT,
    }
    return (
        Asked("/ajax-api/3.0/mlflow/server-info"),
        _post("/graphql", graphql),
        Asked(f"{_API}/experiments/get", urlencode({"experiment_id": experiment.id})),
        _post(f"{_API}/experiments/search-datasets", {"experiment_ids": ids}),
        _post(f"{_API}/logged-models/search", {"experiment_ids": ids, "order_by": newest}),
        _post(SEARCH_RUNS, search),
    )


def plan_charts(found: Any) -> tuple[Asked, ...]:
    """What the charts ask when the search of runs was answered with `found`: the history of each metric that has one
    (a metric whose every run stands at step 0 becomes bars), for the first runs of the table.
    """
    runs = found.get("runs", [])
    metrics = [metric for run in runs for metric in run["data"].get("metrics", [])]
    with_history = {metric["key"] for metric in metrics if metric.get("step", 0) != 0}
    first = [("run_ids", run["info"]["run_id"]) for run in runs[:_CHARTED_RUNS]]
    return tuple(
        Asked(
            f"{_API}/metrics/get-history-bulk-interval",
            urlencode([*first, ("metric_key", name), ("max_results", _CHART_POINTS)]),
        )
        for name in sorted(with_history)
    )


def _post(path: str, body: object) -> Asked:
    return Asked(path, body=json.dumps(body).encode())
