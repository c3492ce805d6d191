"""The first look in a real Chromium: what it paints, that it lasts, and that it gives way to the viewer's own."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from mlflow_on_demand.snapshot import Experiment, Manifest, Objective
from support.contrast import contrast, contrast_of_least
from support.hpo_files import TASK
from support.scored_task import RISING, points, publish
from support.task_server import TaskServer, serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize

pytestmark = pytest.mark.browser

PAINTED_MS = 60_000
LAPTOP: "ViewportSize" = {"width": 1400, "height": 900}
SMALL: "ViewportSize" = {"width": 800, "height": 600}


@dataclass(frozen=True)
class Scene:
    """A task, its manifest, and its server."""

    server: TaskServer
    manifest: Manifest

    @property
    def calo(self) -> Experiment:
        return self.manifest.experiments[0]


@pytest.fixture(scope="module")
def lowest_first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    yield from scene(tmp_path_factory.mktemp("lowest"), "minimize")


@pytest.fixture(scope="module")
def highest_first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    yield from scene(tmp_path_factory.mktemp("highest"), "maximize")


def scene(folder: Path, direction: Literal["minimize", "maximize"]) -> Iterator[Scene]:
    manifest = publish(folder, Objective("score", direction))
    with serving((folder / "store").as_uri(), str(folder)) as server:
        server.wait_for("ready")
        yield Scene(server, manifest)


@pytest.fixture
def context(chromium: "Browser") -> Iterator["BrowserContext"]:
    with chromium.new_context(viewport=LAPTOP) as context:
        yield context


@pytest.fixture
def page(context: "BrowserContext") -> "Page":
    return context.new_page()


def run_names(page: "Page", segment: str = "calo") -> list[str]:
    """The runs of the table, from its top."""
    rows = page.locator('[role="grid"] a[href*="/runs/"]')
    rows.filter(has_text=f"{segment}-").first.wait_for(timeout=PAINTED_MS)
    return [text.strip().removeprefix(f"{segment}-") for text in rows.all_inner_texts()]


def axes(page: "Page") -> list[str]:
    """The axes of the chart of hyper-parameters, from left to right, once its lines are drawn."""
    page.wait_for_function(
        """() => { const lines = document.querySelector(".parcoords canvas.foreground");
          return lines && lines.width > 0 && lines.getContext("2d").getImageData(0, 0, lines.width, lines.height)
            .data.some(Boolean); }""",
        timeout=PAINTED_MS,
    )
    return page.locator(".parcoords .label").all_text_contents()


def chart_titles(page: "Page") -> list[str]:
    """The charts and the sections, from top to bottom."""
    curve = page.locator(".js-plotly-plot .trace")
    curve.first.wait_for(state="attached", timeout=PAINTED_MS)
    parts = page.get_by_test_id("experiment-view-compare-runs-section-header").or_(
        page.get_by_test_id("experiment-view-compare-runs-card")
    )
    return [text.strip().splitlines()[0].strip() for text in parts.all_inner_texts()]


def assert_first_look(page: "Page", order: list[str]) -> None:
    assert run_names(page) == order
    assert axes(page) == ["learning_rate", "optimizer", "score"]
    assert chart_titles(page) == [
        "Hyper-parameters and score",
        "Parallel Coordinates",
        "Model metrics",
        "score",
        "accuracy",
    ]


def test_least_is_best(lowest_first: Scene, page: "Page") -> None:
    page.goto(lowest_first.server.url)
    assert_first_look(page, RISING)
    assert page.locator("#bigpanda-bar p").inner_text() == "Best score 0.3: calo-lowest"


def test_most_is_best(highest_first: Scene, page: "Page") -> None:
    page.goto(highest_first.server.url)
    assert_first_look(page, RISING[::-1])
    assert page.locator("#bigpanda-bar p").inner_text() == "Best score 1.1: calo-highest"


@pytest.mark.parametrize("ours", [True, False], ids=["ours", "MLflow's own"])
def test_an_experiments_address_leads_to_its_runs(lowest_first: Scene, page: "Page", ours: bool) -> None:
    """Model training, where MLflow by itself shows an overview of traces and, sooner or later, a dialogue over it."""
    if not ours:
        page.route("**/bigpanda/first-look.js", lambda route: route.fulfill(body="", content_type="text/javascript"))
    page.goto(f"{lowest_first.server.url}#/experiments/{lowest_first.calo.id}")
    page.wait_for_url("**/runs?**" if ours else "**/overview/**", timeout=PAINTED_MS)
    sides = ("Runs", "Overview")
    shown, missing = sides if ours else sides[::-1]
    page.locator("aside").get_by_text(shown, exact=True).wait_for(timeout=PAINTED_MS)
    assert page.locator("aside").get_by_text(missing, exact=True).count() == 0
    if ours:
        assert run_names(page) == RISING
        assert page.get_by_role("dialog").count() == 0
    assert page.evaluate("localStorage.getItem('mlflow.assistant.panelOpen_v1')") == ("false" if ours else None)


def test_the_table_shows_hyperparameters_and_objective(lowest_first: Scene, page: "Page") -> None:
    page.goto(lowest_first.server.url)
    run_names(page)
    page.goto(f"{lowest_first.server.url}#/experiments/{lowest_first.calo.id}/runs?compareRunsMode=TABLE")
    page.locator('[col-id="params.`optimizer`"]').first.wait_for(timeout=PAINTED_MS)
    shown = page.locator(".ag-header-cell").evaluate_all("cells => cells.map(cell => cell.getAttribute('col-id'))")
    # MLflow's own choice would be Source, Models and Dataset.
    assert {column for column in shown if "`" in column} == {
        "attributes.`Run Name`",
        "metrics.`score`",
        "params.`learning_rate`",
        "params.`optimizer`",
    }, shown


def test_segments_are_chosen_in_the_bar(lowest_first: Scene, page: "Page") -> None:
    page.goto(lowest_first.server.url)
    assert run_names(page) == RISING
    bar = page.locator("#bigpanda-bar")
    assert bar.locator("strong").inner_text() == f"Task {TASK}"
    segments = bar.get_by_role("navigation", name="Segments")
    assert segments.get_by_role("link").all_inner_texts() == ["calo (4)", "muon (4)"]
    assert segments.locator("[aria-current]").all_inner_texts() == ["calo (4)"]
    segments.get_by_role("link", name="muon (4)").click()
    assert run_names(page, "muon") == RISING
    assert axes(page) == ["depth", "learning_rate", "optimizer", "score"]
    assert segments.locator("[aria-current]").all_inner_texts() == ["muon (4)"]
    page.go_back()
    page.wait_for_url(f"**/#/experiments/{lowest_first.calo.id}/**")
    assert run_names(page) == RISING


def test_of_many_segments_the_present_one_is_in_sight(chromium: "Browser", tmp_path: Path) -> None:
    segments = tuple(f"segment{number:02}" for number in range(20))
    manifest = publish(tmp_path, Objective("score", "minimize"), segments, count=1)
    with (
        serving((tmp_path / "store").as_uri(), str(tmp_path)) as server,
        chromium.new_context(viewport=SMALL) as context,
    ):
        page = context.new_page()
        page.goto(f"{server.url}#/experiments/{manifest.experiments[-1].id}/runs")
        links = page.get_by_role("navigation", name="Segments").get_by_role("link")
        assert links.count() == len(segments)
        assert links.and_(page.locator("[aria-current]")).inner_text() == "segment19 (1)"
        assert left_and_right(page, "#bigpanda-bar p")[1] <= SMALL["width"]
        assert left_and_right(page, "#bigpanda-bar [aria-current]")[1] <= left_and_right(page, "#bigpanda-bar p")[0]
        assert page.locator("#bigpanda-bar p").inner_text().startswith("Best score 0.7: segment")


def left_and_right(page: "Page", selector: str) -> tuple[float, float]:
    box = page.locator(selector).bounding_box()
    assert box is not None
    return box["x"], box["x"] + box["width"]


def test_the_best_run_is_one_click_away(lowest_first: Scene, page: "Page") -> None:
    page.goto(lowest_first.server.url)
    page.locator("#bigpanda-bar p a").click()
    page.get_by_role("heading", name="calo-lowest").first.wait_for(timeout=PAINTED_MS)


def test_it_survives_a_reload(lowest_first: Scene, page: "Page") -> None:
    page.goto(lowest_first.server.url)
    assert_first_look(page, RISING)
    page.reload()
    assert_first_look(page, RISING)


def test_the_plain_address_shows_it_to_the_next_viewer_too(
    lowest_first: Scene, page: "Page", chromium: "Browser"
) -> None:
    page.goto(lowest_first.server.url)
    delete_axes(page, lowest_first.calo)
    with chromium.new_context(viewport=LAPTOP) as other:
        theirs = other.new_page()
        theirs.goto(lowest_first.server.url)
        assert_first_look(theirs, RISING)


def test_a_deep_link_works_as_it_is(lowest_first: Scene, page: "Page") -> None:
    muon = lowest_first.manifest.experiments[1]
    link = f"#/experiments/{muon.id}/runs?compareRunsMode=CHART&orderByKey=metrics.%60score%60&orderByAsc=false"
    page.goto(f"{lowest_first.server.url}{link}")
    assert run_names(page, "muon") == RISING[::-1]
    assert axes(page) == ["depth", "learning_rate", "optimizer", "score"]
    assert f"/experiments/{muon.id}/runs?" in page.url
    page.goto(f"{lowest_first.server.url}#/experiments/{muon.id}/runs/{points('muon', 1)[0].run_id}")
    page.get_by_role("heading", name="muon-middling").first.wait_for(timeout=PAINTED_MS)


def delete_axes(page: "Page", experiment: Experiment) -> None:
    """Delete the chart of hyper-parameters, as a viewer would, until MLflow has taken note of it."""
    axes(page)
    delete_first_chart(page)
    key = f'MLflowLocalStorage-1.1-ExperimentPage-["{experiment.id}"]-ReactComponentState'
    page.wait_for_function("key => !localStorage.getItem(key).includes('bigpanda-axes')", arg=key)


def delete_first_chart(page: "Page") -> None:
    page.get_by_test_id("experiment-view-compare-runs-card-menu").first.click()
    page.get_by_role("menuitem", name="Delete").click()


def test_what_a_viewer_arranged_stays_hers(lowest_first: Scene, page: "Page") -> None:
    page.goto(lowest_first.server.url)
    delete_axes(page, lowest_first.calo)
    for _ in range(2):
        page.goto("about:blank")
        page.goto(lowest_first.server.url)
        assert run_names(page) == RISING
        assert "Parallel Coordinates" not in chart_titles(page)


def test_a_task_that_has_grown_renews_what_nobody_changed(
    lowest_first: Scene, chromium: "Browser", tmp_path: Path
) -> None:
    """Seen first with a single run, when the viewer deletes a chart; then with all."""
    publish(tmp_path, Objective("score", "minimize"), count=1)
    with serving((tmp_path / "store").as_uri(), str(tmp_path)) as early, chromium.new_context() as context:
        early.wait_for("ready")
        page = context.new_page()
        page.goto(early.url)
        assert run_names(page) == ["middling"]
        assert chart_titles(page) == ["Model metrics", "score", "accuracy"]
        delete_first_chart(page)
        page.wait_for_function("() => JSON.stringify(localStorage).includes('deleted\\\\\":true')")
        # The next server has another port, so for a browser another origin.
        kept = json.loads(json.dumps(context.storage_state()).replace(early.netloc, lowest_first.server.netloc))
    with chromium.new_context(viewport=LAPTOP, storage_state=kept) as later:
        page = later.new_page()
        page.goto(lowest_first.server.url)
        assert run_names(page) == RISING
        assert axes(page) == ["learning_rate", "optimizer", "score"]
        titles = chart_titles(page)
        assert titles == ["Hyper-parameters and score", "Parallel Coordinates", "Model metrics", "accuracy"]


@pytest.mark.parametrize("size", [LAPTOP, SMALL], ids=["laptop", "small"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_can_be_seen_light_and_dark(
    lowest_first: Scene, chromium: "Browser", size: "ViewportSize", scheme: Literal["light", "dark"]
) -> None:
    with chromium.new_context(viewport=size, color_scheme=scheme) as context:
        page = context.new_page()
        page.goto(lowest_first.server.url)
        axes(page)
        assert page.evaluate(f"document.body.classList.contains('dark-mode') === {json.dumps(scheme == 'dark')}")
        assert page.evaluate("document.getElementById('root').getBoundingClientRect().bottom") == size["height"]
        assert page.evaluate("document.documentElement.scrollHeight") == size["height"]
        for selector, ink in (
            ("#bigpanda-bar strong", "color"),
            ("#bigpanda-bar p a", "color"),
            ("#bigpanda-bar a[aria-current]", "color"),
            (".parcoords .axis path", "stroke"),
            (".parcoords text.label", "fill"),
        ):
            assert contrast(page, selector, ink) >= 4.5, selector
        assert contrast_of_least(page) >= 3
