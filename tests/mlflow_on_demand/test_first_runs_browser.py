"""The table that a page shows until MLflow's own is there, in a real Chromium that does not get MLflow's script yet."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from mlflow_on_demand.landing import SEARCH_RUNS
from mlflow_on_demand.snapshot import Experiment, Manifest, Objective
from support.contrast import contrast
from support.scored_task import RISING, publish
from support.task_server import TaskServer, serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

pytestmark = pytest.mark.browser

MLFLOWS_NAMES = '[role="gridcell"] a[href*="/runs/"]'
PAINTED_MS = 60_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scored")


@pytest.fixture(scope="module")
def manifest(folder: Path) -> Manifest:
    return publish(folder, Objective("score", "minimize"))


@pytest.fixture(scope="module")
def server(manifest: Manifest, folder: Path) -> Iterator[TaskServer]:
    with serving((folder / "store").as_uri(), str(folder)) as task:
        task.wait_for("ready")
        yield task


@pytest.fixture
def page(chromium: "Browser") -> Iterator["Page"]:
    with chromium.new_context() as context:
        yield context.new_page()


def hold_mlflow(page: "Page") -> Callable[[], None]:
    """Holds MLflow's main script back until what this returns is called."""
    held: list[Route] = []

    def hold(route: "Route") -> None:
        held.append(route)

    page.route("**/static/js/main.*.js", hold)
    return lambda: held.pop().continue_()


def rows(page: "Page") -> list[list[str]]:
    """The cells of the early table, from its head."""
    page.locator("#bigpanda-runs td a").first.wait_for(timeout=PAINTED_MS)
    read = "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
    found: list[list[str]] = page.locator("#bigpanda-runs tr").evaluate_all(read)
    return found


def address_of(experiment: Experiment) -> str:
    return f"#/experiments/{experiment.id}/runs?compareRunsMode=CHART"


def test_it_shows_the_best_runs_and_gives_way_to_mlflow(server: TaskServer, page: "Page") -> None:
    release = hold_mlflow(page)
    page.goto(server.url, wait_until="commit")
    assert rows(page) == [
        ["Run", "score", "learning_rate", "optimizer"],
        ["calo-lowest", "0.3", "1e-3", "sgd"],
        ["calo-second", "0.5", "3e-3", "sgd"],
        ["calo-middling", "0.7", "0e-3", "adam"],
        ["calo-highest", "1.1", "2e-3", "adam"],
    ]
    words = page.locator("#bigpanda-runs caption").inner_text()
    assert words == "4 of 4 runs, best score first, while MLflow's own page is on its way"
    assert page.locator("#bigpanda-bar strong").is_visible()
    release()
    page.locator(MLFLOWS_NAMES).first.wait_for(timeout=PAINTED_MS)
    page.locator("#bigpanda-runs").wait_for(state="detached")
    assert page.locator(MLFLOWS_NAMES).all_inner_texts() == [f"calo-{name}" for name in RISING]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_in_the_viewers_theme(
    server: TaskServer, chromium: "Browser", scheme: Literal["light", "dark"]
) -> None:
    with chromium.new_context(color_scheme=scheme) as context:
        page = context.new_page()
        hold_mlflow(page)
        page.goto(server.url, wait_until="commit")
        rows(page)
        assert page.evaluate("document.body.classList.contains('dark-mode')") == (scheme == "dark")
        for selector in ("#bigpanda-runs caption", "#bigpanda-runs th", "#bigpanda-runs td a", "#bigpanda-bar strong"):
            assert contrast(page, selector, "color") >= 4.5, selector


def test_a_name_leads_to_its_run_before_mlflow_is_there(server: TaskServer, page: "Page") -> None:
    release = hold_mlflow(page)
    page.goto(server.url, wait_until="commit")
    rows(page)
    page.get_by_role("link", name="calo-second").click()
    page.locator("#bigpanda-runs").wait_for(state="detached")
    release()
    page.get_by_role("heading", name="calo-second").first.wait_for(timeout=PAINTED_MS)


@pytest.mark.parametrize(
    "where", ["#/experiments/{id}", "#/experiments/{id}/runs", "#/experiments/{id}/runs/?workflowType=x"]
)
def test_any_address_of_a_segments_runs_shows_its_own(
    server: TaskServer, manifest: Manifest, page: "Page", where: str
) -> None:
    hold_mlflow(page)
    page.goto(server.url + where.format(id=manifest.experiments[1].id), wait_until="commit")
    assert [row[0] for row in rows(page)[1:]] == [f"muon-{name}" for name in RISING]


@pytest.mark.parametrize(
    "where",
    [
        "#/experiments/{id}/runs?compareRunsMode=CHART&searchFilter=metrics.score+%3C+0",
        "#/experiments/{id}/runs?orderByKey=metrics.%60score%60&orderByAsc=false",
        "#/experiments/{id}/runs/0",
        "#/experiments/{id}/models",
        "#/experiments/1",
        "#/models",
    ],
)
def test_any_other_address_shows_mlflow_alone(server: TaskServer, manifest: Manifest, page: "Page", where: str) -> None:
    shows_nothing(server.url + where.format(id=manifest.experiments[0].id), page)


def test_who_sorts_for_herself_sees_mlflow_alone(server: TaskServer, manifest: Manifest, page: "Page") -> None:
    key = f'MLflowLocalStorage-1.1-ExperimentPage-["{manifest.experiments[0].id}"]-ReactComponentState'
    page.goto(server.url)
    page.locator(MLFLOWS_NAMES).first.wait_for(timeout=PAINTED_MS)
    page.goto(f"{server.url}/health")
    page.evaluate(
        """key => {
          const kept = JSON.parse(localStorage.getItem(key));
          localStorage.setItem(key, JSON.stringify({ ...kept, orderByAsc: false }));
        }""",
        key,
    )
    shows_nothing(server.url, page)


def shows_nothing(address: str, page: "Page") -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    hold_mlflow(page)
    page.goto(address, wait_until="commit")
    page.locator("#bigpanda-bar strong").wait_for(timeout=PAINTED_MS)
    page.wait_for_function("document.readyState === 'interactive'")
    assert not [url for url in asked if url.endswith(SEARCH_RUNS)]
    assert page.locator("#bigpanda-runs").count() == 0


@pytest.mark.parametrize("reply", ["{}", '{"runs": []}', "no JSON", '{"runs": [{}]}'])
def test_what_cannot_be_shown_is_left_to_mlflow(server: TaskServer, page: "Page", reply: str) -> None:
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    with_reply(page, reply)
    hold_mlflow(page)
    with page.expect_request_finished(lambda request: request.url.endswith(SEARCH_RUNS)):
        page.goto(server.url, wait_until="commit")
    page.locator("#bigpanda-bar strong").wait_for(timeout=PAINTED_MS)
    page.evaluate("() => new Promise(requestAnimationFrame)")  # all that the reply set off is done
    assert (page.locator("#bigpanda-runs").count(), faults) == (0, [])


def test_names_and_values_are_text(server: TaskServer, page: "Page") -> None:
    hostile = "<img src=x onerror=\"document.title='mine'\">"
    data = {"metrics": [{"key": "score", "value": "NaN"}], "params": [{"key": "optimizer", "value": hostile}]}
    with_reply(page, json.dumps({"runs": [{"info": {"run_id": "a/../b", "run_name": hostile}, "data": data}]}))
    hold_mlflow(page)
    page.goto(server.url, wait_until="commit")
    assert rows(page)[1] == [hostile, "NaN", "", hostile]
    assert page.locator("#bigpanda-runs img").count() == 0


def test_of_many_runs_those_are_there_that_can_be_seen(server: TaskServer, page: "Page") -> None:
    runs = [{"info": {"run_id": f"{number}", "run_name": f"run {number}"}, "data": {}} for number in range(100)]
    with_reply(page, json.dumps({"runs": runs}))
    hold_mlflow(page)
    page.set_viewport_size({"width": 800, "height": 620})
    page.goto(server.url, wait_until="commit")
    assert [row[0] for row in rows(page)[1:]] == [f"run {number}" for number in range(20)]
    bottom = page.locator("#bigpanda-runs tr").last.bounding_box()
    assert bottom is not None
    assert bottom["y"] + bottom["height"] >= 620


def with_reply(page: "Page", reply: str) -> None:
    page.route(f"**{SEARCH_RUNS}", lambda route: route.fulfill(body=reply, content_type="application/json"))
