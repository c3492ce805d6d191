"""A walk through the pages of MLflow's user interface, and what a browser notes on it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from playwright.sync_api import Page, Request

_QUIET_MS = 400
PATIENCE_MS = 30_000
# Stock would open its GenAI pages first, and its assistant over a third of them.
MACHINE_LEARNING = """
localStorage.setItem("mlflow.workflowType_v1", '"machine_learning"');
localStorage.setItem("mlflow.assistant.panelOpen_v1", "false");
localStorage.setItem("mlflow.assistant.fab.autoOpenedOnFirstLoad_v1", "true");
"""
_FILES = ("/static-files/", "/bigpanda/")


def make_pages(ids: Mapping[str, str], others: list[str]) -> dict[str, tuple[str, str]]:
    """Every page that shows a task's results: the fragment of its address, and a text that it must show.

    Not here: the review queue, which MLflow opens by writing one for the viewer (and a default question), and the pages
    of parts that are never mounted: gateway, playground, MCP registry.
    """
    experiment = f"#/experiments/{ids['experiment_id']}"
    run = f"{experiment}/runs/{ids['run_id']}"
    model = f"{experiment}/models/{ids['model_id']}"
    one = f"experiments={_listed(ids['experiment_id'])}"
    runs = f"runs={_listed(ids['run_id'], *others)}"
    return {
        "all experiments": ("#/experiments", "task 30456789"),
        "runs as a table": (f"{experiment}/runs?compareRunsMode=TABLE", "point 11"),
        "runs as charts": (f"{experiment}/runs?compareRunsMode=CHART", "matching runs"),
        "run": (run, "tanh ☀"),
        "run's metrics": (f"{run}/model-metrics", "val/acc"),
        "run's artifacts": (f"{run}/artifacts", "log with space.txt"),
        "run's traces": (f"{run}/traces", "Traces"),
        "comparison": (f"#/compare-runs?{runs}&{one}", "Comparing 3 Runs from 1 Experiment"),
        "metric": (f"#/metric?{runs}&metric=%22loss%22&{one}&plot_metric_keys={_listed('loss')}", "loss"),
        "models": (f"{experiment}/models", "net"),
        "model": (model, "About this logged model"),
        "model's artifacts": (f"{model}/artifacts", "MLmodel"),
        "registered models": ("#/models", "empty one"),
        "registered model": ("#/models/net", "what the task is for"),
        "model version": ("#/models/net/versions/1", "champion"),
        "registered model of a job": ("#/models/job%20net", "what the job made"),
        "model version of a job": ("#/models/job%20net/versions/2", "champion"),
        "datasets": (f"{experiment}/datasets", "questions"),
        "traces": (f"{experiment}/traces", "ask"),
        "trace": (f"{experiment}/traces/{ids['trace_id']}", "how deep?"),
        "trace of a job": (f"{experiment}/traces/{ids['job_trace_id']}", "train"),
        "usage": (f"{experiment}/overview/usage", "Usage"),
        "evaluations": (f"{experiment}/evaluation-runs", "Evaluation"),
        "judges": (f"{experiment}/judges", "exact"),
        "compared experiments": (f"#/compare-experiments/s?{one}", "point 11"),
        "prompts": ("#/prompts", "Prompts"),
        "settings": ("#/settings", "Settings"),
    }


def _listed(*values: str) -> str:
    return quote(json.dumps(values))


@dataclass
class Notes:
    """What went on: requests by method, path with query, and body; what failed; what the console had to say."""

    asked: set[tuple[str, str, str]] = field(default_factory=set)
    under_way: set[Request] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    complaints: set[str] = field(default_factory=set)
    count: int = 0


def listen(page: Page) -> Notes:
    """Take notes of all that this page does from now on."""
    notes = Notes()

    def ask(request: Request) -> None:
        address = urlsplit(request.url)
        # A worker's own file never counts as finished.
        if address.scheme.startswith("http") and not address.path.startswith(_FILES):
            notes.under_way.add(request)
            path = f"{address.path}?{address.query}" if address.query else address.path
            notes.asked.add((request.method, path, request.post_data or ""))
            notes.count += 1

    def end(request: Request) -> None:
        notes.under_way.discard(request)
        response = request.response()
        if response is not None and response.status >= 400:
            notes.failed.add(f"{response.status} {request.method} {urlsplit(request.url).path}")

    def fail(request: Request) -> None:
        notes.under_way.discard(request)
        # The page gives up on what it asked when the next page opens.
        if request.failure != "net::ERR_ABORTED":
            notes.failed.add(f"{request.failure} {request.method} {urlsplit(request.url).path}")

    def complain(text: str) -> None:
        # When a page is laid out anew in the middle of it, browsers say so: a matter of luck.
        if "ResizeObserver loop" not in text:
            notes.complaints.add(re.sub(r"http://[^/\s]+", "", text))

    page.on("request", ask)
    page.on("requestfinished", end)
    page.on("requestfailed", fail)
    page.on("console", lambda message: complain(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complain(error.message))
    return notes


def come_to_rest(page: Page, notes: Notes) -> None:
    """Wait until nothing was asked for a while, and all is answered."""
    quiet = 0
    for _ in range(PATIENCE_MS // _QUIET_MS):
        before = notes.count
        page.wait_for_timeout(_QUIET_MS)
        quiet = quiet + 1 if notes.count == before and not notes.under_way else 0
        if quiet == 2:
            return
    raise AssertionError(f"the page does not come to rest: {[request.url for request in notes.under_way]}")
