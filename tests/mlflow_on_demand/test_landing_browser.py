"""The landing view of a task whose MLflow never comes: the snapshot's database is held back, and yet all is painted.

So whatever the page asks was recorded. It fails when an upgrade of MLflow, or of the first look, makes the page ask for
something else: then `landing.py` must learn it.
"""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from bigpanda_laptop.sample import OBJECTIVE, TARBALLS
from mlflow_on_demand.ingest import IngestRequest, ingest_task
from mlflow_on_demand.landing import SEARCH_RUNS
from mlflow_on_demand.record_answers import record_answers
from mlflow_on_demand.snapshot import Manifest, Objective, open_snapshot_store
from mlflow_on_demand.ui_page import make_page
from support.held_store import holding_database
from support.hpo_files import TASK
from support.runs_page import run_names
from support.task_server import TaskServer, serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Request

pytestmark = pytest.mark.browser

PAGE = make_page().decode()
PAINTED_MS = 60_000
LAPTOP, WALL = (1400, 900), (1920, 2400)  # on the second, every chart is in sight at once
# A request in a race, in three loads of ten, is missed by all of these with a probability of 1 in 1000.
LOADS = [(size, segment) for size in (LAPTOP, WALL) for segment in (0,) * 8 + (1,) * 2]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    store = tmp_path_factory.getbasetemp() / "landing-store"
    objective = Objective(OBJECTIVE["metric"], OBJECTIVE["direction"])
    manifest = ingest_task(IngestRequest(TASK, (TARBALLS.as_uri(),), store.as_uri(), objective)).manifest
    assert record_answers(open_snapshot_store(store.as_uri(), TASK, manifest.schema_revision), manifest)
    return manifest


@pytest.fixture(scope="module")
def server(manifest: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TaskServer]:
    folder = tmp_path_factory.mktemp("held")
    store = tmp_path_factory.getbasetemp() / "landing-store"
    with holding_database(store, folder / "store", manifest) as held, serving(held.store.as_uri(), str(folder)) as task:
        yield task


@pytest.fixture
def page(chromium: "Browser", request: pytest.FixtureRequest) -> Iterator["Page"]:
    width, height = request.param
    context = chromium.new_context(viewport={"width": width, "height": height})
    yield context.new_page()
    context.close()


class Unanswered:
    """The requests of a page that have no answer yet. Files do not count: MLflow has no part in them."""

    def __init__(self, page: "Page") -> None:
        self.asked = 0
        self.waiting: list[Request] = []
        self.bad: list[str] = []
        page.on("request", self._ask)
        page.on("requestfinished", self._answer)
        page.on("requestfailed", lambda request: self.bad.append(f"failed: {request.url}"))

    def _ask(self, request: "Request") -> None:
        self.asked += 1
        if "/static-files/" not in request.url:
            self.waiting.append(request)

    def _answer(self, request: "Request") -> None:
        if request in self.waiting:
            self.waiting.remove(request)
        response = request.response()
        # The one that MLflow's page takes for "there is no log-in".
        if response is None or (response.status >= 400 and not request.url.endswith("/users/current")):
            self.bad.append(f"refused: {request.url}")

    def come_to_rest(self, page: "Page") -> list[str]:
        """What is not answered when the page asks for nothing more."""
        asked = -1
        while asked != self.asked:
            asked = self.asked
            page.wait_for_timeout(1000)
        return [f"{request.method} {request.url} {request.post_data or ''}" for request in self.waiting] + self.bad


@pytest.mark.parametrize(("page", "segment"), LOADS, indirect=["page"])
def test_the_landing_view_waits_for_nothing(server: TaskServer, manifest: Manifest, page: "Page", segment: int) -> None:
    from playwright.sync_api import TimeoutError as NotPainted

    unanswered = Unanswered(page)
    experiment = manifest.experiments[segment]
    page.goto(server.url + (f"#/experiments/{experiment.id}/runs?compareRunsMode=CHART" if segment else ""))
    try:
        page.get_by_text(f"{experiment.runs} matching runs").wait_for(timeout=PAINTED_MS)
        page.locator(".js-plotly-plot .trace").first.wait_for(state="attached", timeout=PAINTED_MS)
    except NotPainted:
        pytest.fail(f"nothing is painted while these wait for MLflow: {unanswered.come_to_rest(page)}")
    assert unanswered.come_to_rest(page) == []
    links = set(page.locator('a[href*="/runs/"]').all_inner_texts())
    assert len(links & run_names(experiment.segment)) >= 10
    assert server.stage() == "loading"


@pytest.mark.parametrize("page", [LAPTOP], indirect=True)
def test_the_page_is_told_early_of_what_its_first_view_loads(server: TaskServer, page: "Page") -> None:
    asked: list[str] = []
    told: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: told.append(message.text))
    with page.expect_request(f"**{SEARCH_RUNS}"):
        page.goto(server.url)
    parts = {url.partition("/static-files/")[2] for url in asked if ".chunk." in url}
    hinted = {path.removeprefix("static-files/") for path in re.findall(r'rel="preload".*?href="(.*?)"', PAGE)}
    assert parts == hinted
    page.get_by_role("grid").get_by_role("link").first.wait_for(timeout=PAINTED_MS)
    page.wait_for_timeout(5000)  # Chromium complains of what was fetched for nothing
    assert [text for text in told if "preload" in text] == []
