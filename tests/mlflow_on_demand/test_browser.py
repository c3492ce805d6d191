"""What a physicist sees, in a real Chromium."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from mlflow_on_demand.ingest import IngestRequest, ingest_task
from mlflow_on_demand.mlflow_facts import schema_revision, ui_dir
from mlflow_on_demand.pages import STATUS_PATH
from mlflow_on_demand.reading import tell_reading
from mlflow_on_demand.snapshot import Objective, open_snapshot_store
from mlflow_on_demand.ui_pack import UiPack
from support.hpo_files import NOON, TASK, Point, name, run_id, tarball, write_task
from support.packed_ui import make_packed_environment
from support.task_server import TaskServer, serving

if TYPE_CHECKING:
    from playwright.sync_api import Page, Response

pytestmark = pytest.mark.browser

PAINTED_MS = 60_000
LOSSES = {"middling": 0.5, "best": 0.1, "worst": 0.9}


def publish(folder: Path) -> None:
    tarballs = {
        name(number): tarball(
            Point(
                run_id(number),
                run_name,
                start=NOON + number,
                params={"lr": str(number / 10)},
                metrics={"loss": "".join(f"{NOON + step} {loss + 1 / (step + 1)} {step}\n" for step in range(5))},
            )
        )
        for number, (run_name, loss) in enumerate(LOSSES.items(), start=1)
    }
    artifacts = write_task(folder / "tarballs", tarballs)
    ingest_task(IngestRequest(TASK, (artifacts,), (folder / "store").as_uri(), Objective("loss", "minimize")))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TaskServer]:
    folder = tmp_path_factory.mktemp("browser")
    publish(folder)
    with serving((folder / "store").as_uri(), str(tmp_path_factory.mktemp("scratch"))) as server:
        server.wait_for("ready")
        yield server


def run_names(page: "Page") -> list[str]:
    links = page.locator('[role="grid"] a[href*="/runs/"]')
    links.first.wait_for(timeout=PAINTED_MS)
    found = [text.strip() for text in links.all_inner_texts()]
    return [text for text in found if text in LOSSES]


def charts_are_painted(page: "Page") -> None:
    page.locator(".js-plotly-plot .main-svg").first.wait_for(timeout=PAINTED_MS)


def ask_after_landing(page: "Page", url: str) -> list[str]:
    """What a tab asks for in the six minutes after it was opened and left alone; the browser's clock is turned on."""
    asked: list[str] = []
    page.clock.install()
    page.on("request", lambda request: asked.append(request.url))
    page.goto(url)
    run_names(page)
    charts_are_painted(page)
    while asked:  # until the page has come to rest
        asked.clear()
        page.wait_for_timeout(2000)
    for _ in range(6):
        page.clock.fast_forward(60_000)
        page.wait_for_timeout(300)
    return asked


def test_the_first_look_is_runs_and_charts_best_first(server: TaskServer, page: "Page") -> None:
    page.goto(server.url)
    assert run_names(page) == ["best", "middling", "worst"]
    charts_are_painted(page)
    assert f"#/experiments/{TASK}/runs" in page.url


def test_an_open_tab_left_alone_asks_mlflow_for_nothing(server: TaskServer, page: "Page") -> None:
    """What else it asks, and when it stops: see test_live_look.py."""
    assert [url for url in ask_after_landing(page, server.url) if not url.endswith(STATUS_PATH)] == []


def test_the_clock_of_that_test_would_have_shown_a_refresh(server: TaskServer, page: "Page") -> None:
    """The same tab with MLflow's own default, which asks every 30 s."""
    key = f'MLflowLocalStorage-1.1-ExperimentPage-["{TASK}"]-ReactComponentState'
    page.add_init_script(f"localStorage.setItem('{key}', '{{\"autoRefreshEnabled\":true}}')")
    assert any("runs/search" in url for url in ask_after_landing(page, server.url))


def test_what_a_viewer_chose_is_kept(server: TaskServer, page: "Page") -> None:
    page.goto(server.url)
    run_names(page)
    page.evaluate("localStorage.setItem('mlflow.assistant.panelOpen_v1', 'true')")
    page.reload()
    assert page.evaluate("localStorage.getItem('mlflow.assistant.panelOpen_v1')") == "true"


def test_the_waiting_page_turns_into_mlflow_by_itself(page: "Page", tmp_path: Path) -> None:
    with serving((tmp_path / "store").as_uri(), str(tmp_path)) as server:
        server.wait_for("waiting_for_snapshot")
        page.goto(server.url)
        page.get_by_text("turns into MLflow by itself").wait_for()
        # As far as an ingest has come that reads no further yet.
        taking = tell_reading(open_snapshot_store((tmp_path / "store").as_uri(), TASK, schema_revision()), 47)
        assert [next(taking) for _ in range(40)][-1] == 39
        page.get_by_text("39 of 47 tarballs are read.").wait_for()
        publish(tmp_path)
        assert run_names(page) == ["best", "middling", "worst"]


def test_a_page_is_moved_compressed(page: "Page", tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """In an environment like the image's: what moves is what the compressed forms weigh, and the page is all there."""
    environment = make_packed_environment(tmp_path_factory.mktemp("environment"))
    publish(tmp_path)
    moved: list[Response] = []
    page.on("response", lambda response: moved.append(response) if is_of_the_ui(response) else None)
    with serving((tmp_path / "store").as_uri(), str(tmp_path), python=environment.python) as server:
        server.wait_for("ready")
        page.goto(server.url)
        assert run_names(page) == ["best", "middling", "worst"]
        charts_are_painted(page)
        loaded = tuple(moved)
        for response in loaded:
            response.finished()
        expected = {response.url: weight(environment.pack, response) for response in loaded}
        assert {response.url: response.request.sizes()["responseBodySize"] for response in loaded} == expected
        compressed = [response for response in loaded if response.header_value("content-encoding") in ("br", "gzip")]
        assert {urlsplit(one.url).path.rpartition(".")[2] for one in compressed} >= {"js", "css", "/"}


def is_of_the_ui(response: "Response") -> bool:
    path = urlsplit(response.url).path
    return path == "/" or path.startswith("/static-files/")


def weight(pack: UiPack, response: "Response") -> int:
    """The size of the form in which a file of MLflow's page was sent; where there are small forms, it must be one."""
    name = urlsplit(response.url).path.removeprefix("/static-files/").lstrip("/") or "index.html"
    file = pack.page if name == "index.html" else pack.files[name]
    encoding = response.header_value("content-encoding")
    if encoding is None:
        assert list(file.tags) == ["identity"], name
        return (ui_dir() / name).stat().st_size
    return pack.path_of(name, encoding).stat().st_size
