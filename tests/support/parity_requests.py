"""Requests for every read that our server lets through, by route: good ones, and such as MLflow answers with an error.

`<run_id>` and the like stand for what `RichTask.ids` says. A string is a query, a dictionary a body.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from mlflow_on_demand.readonly import API_READS, GRAPHQL, OTHER_READS

Content = str | dict[str, object]

_E = "experiment_id=<experiment_id>"
_ES: dict[str, object] = {"experiment_ids": ["<experiment_id>"]}
_LOCATION = {"mlflow_experiment": {"experiment_id": "<experiment_id>"}, "type": 1}
_R = "run_id=<run_id>"
_INTERVAL = "metrics/get-history-bulk-interval"
_FILES = (
    "plots%2Floss.png",
    "plots/deep/er/curve.svg",
    "report.html",
    "summary.json",
    "log%20with%20space.txt",
    "table.csv",
    "raw.bin",
    "empty.txt",
    "none.txt",
    "plots",
    "../meta.yaml",
    "%2Fetc%2Fpasswd",
)

API: dict[str, tuple[Content, ...]] = {
    "GET 2.0/mlflow/artifacts/list": (
        _R,
        f"{_R}&path=plots",
        f"{_R}&path=plots/deep/er",
        f"{_R}&path=summary.json",
        f"{_R}&path=none",
        f"{_R}&path=..%2F..",
        "run_id=" + "0" * 32,
        "",
    ),
    "POST 2.0/mlflow/artifacts/presigned-download-url": (
        {"run_id": "<run_id>", "path": "summary.json"},
        {"run_id": "<run_id>", "path": "../x"},
        {"path": "x"},
    ),
    "GET 2.0/mlflow/experiments/get": (_E, "experiment_id=17", "experiment_id=0", ""),
    "GET 2.0/mlflow/experiments/get-by-name": ("experiment_name=task%20<experiment_id>", "experiment_name=none"),
    "GET 2.0/mlflow/experiments/search": ("max_results=10", "max_results=25&order_by=last_update_time%20DESC", ""),
    "POST 2.0/mlflow/experiments/search": (
        {"max_results": 5, "view_type": "ALL", "filter": "name LIKE 'task%'"},
        {"max_results": 5, "filter": "nonsense"},
    ),
    "POST 2.0/mlflow/experiments/search-datasets": (_ES, {"experiment_ids": []}, {"experiment_ids": ["17"]}),
    "GET 2.0/mlflow/get-trace-artifact": (
        "request_id=<trace_id>",
        "request_id=<job_trace_id>",
        "request_id=<job_trace_id>&path=<attachment>",
        "request_id=<job_trace_id>&path=..%2Fx",
        "request_id=none",
    ),
    "GET 2.0/mlflow/logged-models/<model_id>": ("", "allow_deleted=true"),
    "GET 2.0/mlflow/logged-models/<model_id>/artifacts/directories": ("", "artifact_directory_path=none"),
    "GET 2.0/mlflow/logged-models/<model_id>/artifacts/files": (
        "artifact_file_path=MLmodel",
        "artifact_file_path=none",
        "artifact_file_path=..%2F..%2Fx",
        "",
    ),
    "POST 2.0/mlflow/logged-models/search": (
        {**_ES, "order_by": [{"field_name": "creation_time", "ascending": False}]},
        {**_ES, "filter": "metrics.score > 0.5"},
        {"experiment_ids": ["17"]},
        {},
    ),
    "GET 2.0/mlflow/metrics/get-history": (
        f"{_R}&metric_key=loss",
        f"{_R}&metric_key=val/acc&max_results=3",
        f"{_R}&metric_key=grad",
        f"{_R}&metric_key=none",
        _R,
    ),
    "GET 2.0/mlflow/metrics/get-history-bulk": (f"{_R}&metric_key=loss&max_results=7", f"{_R}&metric_key=grad", ""),
    f"GET 2.0/mlflow/{_INTERVAL}": (
        "run_ids=<run_id>&metric_key=loss&max_results=320",
        "run_ids=<run_id>&metric_key=loss&start_step=3&end_step=9&max_results=3",
        "run_ids=<run_id>&metric_key=grad&max_results=9",
        "metric_key=loss",
    ),
    "GET 2.0/mlflow/model-versions/get": (
        "name=net&version=1",
        "name=job%20net&version=1",
        "name=net&version=9",
        "name=net",
    ),
    "GET 2.0/mlflow/model-versions/get-download-uri": (
        "name=net&version=1",
        "name=net&version=2",
        "name=job%20net&version=1",
        "name=job-prompt&version=1",
    ),
    "GET 2.0/mlflow/model-versions/search": (
        "filter=name%3D%27net%27",
        "filter=name%3D%27job%20net%27",
        "filter=run_id%3D%27<run_id>%27",
        "",
    ),
    "GET 2.0/mlflow/registered-models/alias": (
        "name=net&alias=champion",
        "name=job%20net&alias=champion",
        "name=net&alias=none",
    ),
    "GET 2.0/mlflow/registered-models/get": ("name=net", "name=job%20net", "name=empty%20one", "name=none", ""),
    "GET 2.0/mlflow/registered-models/get-latest-versions": ("name=net", "name=net&stages=Production"),
    "POST 2.0/mlflow/registered-models/get-latest-versions": ({"name": "net"}, {"name": "none"}),
    "GET 2.0/mlflow/registered-models/search": (
        "max_results=25&order_by=name%20ASC",
        "filter=name%20ILIKE%20%27%25n%25%27",
    ),
    "GET 2.0/mlflow/runs/get": (_R, "run_uuid=<run_id>", "run_id=none", ""),
    "POST 2.0/mlflow/runs/search": (
        {**_ES, "order_by": ["metrics.`loss` ASC"], "max_results": 100, "run_view_type": "ACTIVE_ONLY"},
        {**_ES, "run_view_type": "ALL", "max_results": 3},
        {**_ES, "filter": "params.`model/depth` = '3' and attributes.status = 'FINISHED'"},
        {**_ES, "filter": "tags.`mlflow.parentRunId` = '<run_id>'"},
        {**_ES, "filter": "datasets.name IN ('calibration')"},
        {**_ES, "filter": "nonsense ="},
        {"experiment_ids": ["17"]},
        {},
    ),
    "GET 2.0/mlflow/traces": ("experiment_ids=<experiment_id>&max_results=5",),
    "GET 2.0/mlflow/traces/<request_id>/info": ("",),
    "GET 3.0/mlflow/datasets/<dataset_id>": ("",),
    "GET 3.0/mlflow/datasets/<dataset_id>/experiment-ids": ("",),
    "GET 3.0/mlflow/datasets/<dataset_id>/records": ("max_results=10", ""),
    "GET 3.0/mlflow/datasets/search": ("experiment_ids=<experiment_id>", ""),
    "POST 3.0/mlflow/datasets/search": ({**_ES, "max_results": 10}, {"experiment_ids": ["17"]}),
    "GET 3.0/mlflow/get-trace-artifact": ("request_id=<trace_id>", "request_id=<job_trace_id>", ""),
    "GET 3.0/mlflow/issues/<issue_id>": ("",),
    "POST 3.0/mlflow/issues/search": ({"experiment_id": "<experiment_id>", "include_trace_count": True}, {}),
    "GET 3.0/mlflow/label-schemas/get": ("schema_id=<schema_id>", "schema_id=none"),
    "GET 3.0/mlflow/label-schemas/get-by-name": (f"{_E}&name=fits", f"{_E}&name=none"),
    "GET 3.0/mlflow/review-queues/get": ("queue_id=<queue_id>", "queue_id=none"),
    "GET 3.0/mlflow/review-queues/get-by-name": (f"{_E}&name=look",),
    "GET 3.0/mlflow/review-queues/items/list": ("queue_id=<queue_id>", ""),
    "GET 3.0/mlflow/review-queues/list": (_E, ""),
    "GET 3.0/mlflow/scorers/get": (f"{_E}&name=exact", f"{_E}&name=exact&version=1", f"{_E}&name=none"),
    "GET 3.0/mlflow/scorers/list": (_E, "experiment_ids=<experiment_id>"),
    "GET 3.0/mlflow/scorers/online-configs": ("scorer_ids=<scorer_id>", ""),
    "GET 3.0/mlflow/scorers/versions": (f"{_E}&name=exact", f"{_E}&name=none"),
    "GET 3.0/mlflow/server-info": ("",),
    "GET 3.0/mlflow/traces/<trace_id>": ("",),
    "GET 3.0/mlflow/traces/<trace_id>/assessments/<assessment_id>": ("",),
    "GET 3.0/mlflow/traces/batchGet": ("trace_ids=<trace_id>", "trace_ids=<job_trace_id>", ""),
    "POST 3.0/mlflow/traces/batchGetInfos": ({"trace_ids": ["<trace_id>", "<job_trace_id>"]}, {}),
    "POST 3.0/mlflow/traces/calculate-filter-correlation": (
        {**_ES, "filter_string1": "status = 'OK'", "filter_string2": "status = 'ERROR'"},
        _ES,
    ),
    "GET 3.0/mlflow/traces/get": ("trace_id=<trace_id>", "trace_id=<job_trace_id>", "trace_id=none"),
    "POST 3.0/mlflow/traces/metrics": (
        {**_ES, "view_type": 1, "metric_name": "trace_count", "aggregations": [{"aggregation_type": 1}]},
        {},
    ),
    "POST 3.0/mlflow/traces/search": (
        {"locations": [_LOCATION], "max_results": 10},
        {"locations": [_LOCATION], "filter": "metadata.`mlflow.trace.session` = 'night' AND tags.colour = 'blue'"},
        {},
    ),
    "GET 3.0/mlflow/ui-telemetry": ("",),
    "GET 3.0/mlflow/workspaces": ("",),
}
OTHER: dict[str, tuple[Content, ...]] = {
    "GET /get-artifact": (*(f"run_uuid=<run_id>&path={path}" for path in _FILES), f"{_R}&path=summary.json"),
    "GET /model-versions/get-artifact": (
        "name=net&version=1&path=MLmodel",
        "name=net&version=2&path=model.txt",
        "name=net&version=2&path=none",
        "name=job%20net&version=1&path=loss.png",
        "name=job%20net&version=2&path=MLmodel",
        "name=job%20net&version=1&path=..%2Freport.html",
        "name=net&version=9&path=x",
    ),
    "GET /version": ("",),
}


def _ask(field: str, given: dict[str, object], fields: str) -> dict[str, object]:
    input_type = f"{field[0].upper()}{field[1:]}Input"
    query = f"query Q($data: {input_type}!) {{ {field}(input: $data) {{ apiError {{ code message }} {fields} }} }}"
    return {"operationName": "Q", "variables": {"data": given}, "query": query}


_RUN = (
    "run { info { runUuid status artifactUri } data { params { key value } metrics { key value } }"
    " experiment { name } modelVersions { name version source } }"
)
_HISTORY: dict[str, object] = {"runIds": ["<run_id>"], "metricKey": "loss", "maxResults": 5}
QUERIES: tuple[Content, ...] = (
    _ask("mlflowGetExperiment", {"experimentId": "<experiment_id>"}, "experiment { name artifactLocation }"),
    _ask("mlflowGetExperiment", {"experimentId": "17"}, "experiment { name }"),
    _ask("mlflowGetRun", {"runId": "<run_id>"}, _RUN),
    _ask("mlflowSearchRuns", {"experimentIds": ["<experiment_id>"]}, "runs { info { runName } }"),
    _ask("mlflowListArtifacts", {"runId": "<run_id>", "path": "plots"}, "rootUri files { path isDir fileSize }"),
    _ask("mlflowGetMetricHistoryBulkInterval", _HISTORY, "metrics { key value step timestamp runId }"),
    _ask("mlflowSearchModelVersions", {"filter": "name='net'"}, "modelVersions { name version source }"),
    {"query": '{ test(inputString: "x") { output } }'},
    {"query": "{ nothing }"},
)


@dataclass(frozen=True)
class Read:
    """One request; `route` is the entry of the allow-list that lets it through."""

    route: str
    path: str
    body: bytes | None = None

    @property
    def method(self) -> str:
        return self.route.partition(" ")[0]

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.body is None else {"Content-Type": "application/json"}


def make_reads(ids: Mapping[str, str]) -> tuple[Read, ...]:
    """All of them, the API's under the prefix that the page uses and the one that clients use."""
    table = {**API, **OTHER, GRAPHQL: QUERIES}
    assert set(table) == API_READS | OTHER_READS | {GRAPHQL}
    return tuple(
        _make_read(route, prefix + route.partition(" ")[2], content, ids)
        for route in sorted(table)
        for prefix in (("/ajax-api/", "/api/") if route in API else ("",))
        for content in table[route]
    )


def _make_read(route: str, path: str, content: Content, ids: Mapping[str, str]) -> Read:
    if isinstance(content, str):
        return Read(route, _fill(f"{path}?{content}" if content else path, {k: quote(v) for k, v in ids.items()}))
    return Read(route, _fill(path, ids), _fill(json.dumps(content), ids).encode())


def _fill(text: str, ids: Mapping[str, str]) -> str:
    for name, value in ids.items():
        text = text.replace(f"<{name}>", value)
    assert "<" not in text, text
    return text


def told(answer: httpx.Response, content: bytes) -> tuple[int, str | None, str | None, Any]:
    """What counts in an answer: JSON by its value (MLflow's two web frameworks write it differently)."""
    kind = answer.headers.get("content-type")
    body = json.loads(content) if kind == "application/json" and content else content
    return answer.status_code, kind, answer.headers.get("content-disposition"), body
