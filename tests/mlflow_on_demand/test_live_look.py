"""A page that is looked at shows new runs by itself, in a real Chromium; a forgotten one asks for nothing any more."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from mlflow_on_demand.awaited import Awaited
from mlflow_on_demand.ingest import IngestRequest, ingest_task
from mlflow_on_demand.landing import SEARCH_RUNS
from mlflow_on_demand.live_look import EVERY_SECONDS, PATIENCE_SECONDS, make_live_look
from mlflow_on_demand.pages import STATUS_PATH
from mlflow_on_demand.snapshot import Manifest, Objective
from support.hpo_files import TASK, Point, name, run_id, tarball, write_task
from support.task_server import TaskServer, serving

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

PAINTED_MS = 60_000


def publish(folder: Path, runs: int, awaited: Awaited | None = None) -> Manifest:
    tarballs = {name(number): tarball(Point(run_id(number), f"run-{number}")) for number in range(1, runs + 1)}
    artifacts = write_task(folder / "tarballs", tarballs)
    store, objective = (folder / "store").as_uri(), Objective("loss", "minimize")
    request = IngestRequest(TASK, (artifacts,), store, objective, awaited=awaited)
    return ingest_task(request).manifest


def awaited_points(points: int) -> Awaited:
    """By the last of them, the task is finished; not before, whatever the time."""
    return Awaited(points, int(time.time()), 3600)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TaskServer]:
    publish(tmp_path, 3)
    (tmp_path / "scratch").mkdir()
    with serving((tmp_path / "store").as_uri(), str(tmp_path / "scratch")) as server:
        server.wait_for("ready")
        yield server


class Tab:
    """A page whose clock is turned on by hand, and the paths that it asked for since it was last looked at."""

    def __init__(self, page: "Page", url: str) -> None:
        self.page = page
        self._asked: list[str] = []
        page.clock.install()
        page.on("request", lambda request: self._asked.append(urlsplit(request.url).path))
        page.goto(url)
        self.shows(3)
        while self.asked():  # until it has come to rest
            page.wait_for_timeout(2000)

    def shows(self, runs: int) -> None:
        self.page.get_by_text(f"{runs} matching runs").wait_for(timeout=PAINTED_MS)

    def asked(self) -> list[str]:
        found, self._asked[:] = list(self._asked), []
        return found

    def turn(self, seconds: float) -> list[str]:
        """What it asks for in so many seconds of its clock."""
        self.page.clock.fast_forward(int(seconds * 1000))
        self.page.wait_for_timeout(500)
        return self.asked()


def test_new_runs_appear_and_nothing_else_changes(server: TaskServer, page: "Page", tmp_path: Path) -> None:
    tab = Tab(page, server.url)
    page.evaluate("window.sameDocument = true")
    assert set(tab.turn(EVERY_SECONDS + 1)) == {STATUS_PATH}
    for runs in (5, 6):
        manifest = publish(tmp_path, runs)
        server.until(lambda: server.ask("GET", STATUS_PATH).json()["snapshot"] == manifest.digest)  # noqa: B023
        asked = tab.turn(EVERY_SECONDS + 1)
        tab.shows(runs)
        assert [*asked, *tab.asked()].count(SEARCH_RUNS) == 1
        page.locator('a[href*="/runs/"]').filter(has_text=f"run-{runs}").first.wait_for(timeout=PAINTED_MS)
    assert page.evaluate("window.sameDocument")
    assert "orderByKey=metrics.%60loss%60&orderByAsc=true" in page.url


def test_a_forgotten_tab_asks_no_more_until_its_viewer_is_back(server: TaskServer, page: "Page") -> None:
    tab = Tab(page, server.url)
    assert set(tab.turn(EVERY_SECONDS + 1)) == {STATUS_PATH}
    tab.turn(PATIENCE_SECONDS)
    assert [tab.turn(60) for _ in range(10)] == [[]] * 10
    page.mouse.move(300, 300)
    assert set(tab.turn(EVERY_SECONDS + 1)) == {STATUS_PATH}
    tab.turn(PATIENCE_SECONDS)
    assert [tab.turn(60) for _ in range(3)] == [[]] * 3


def test_a_tab_out_of_sight_asks_nothing(server: TaskServer, page: "Page") -> None:
    tab = Tab(page, server.url)
    page.evaluate("Object.defineProperty(document, 'hidden', { get: () => window.away, configurable: true })")
    page.evaluate("window.away = true")
    assert tab.turn(EVERY_SECONDS + 1) == []
    assert tab.turn(EVERY_SECONDS + 1) == []
    page.evaluate("window.away = false; document.dispatchEvent(new Event('visibilitychange'))")
    assert set(tab.turn(EVERY_SECONDS + 1)) == {STATUS_PATH}


def test_the_last_runs_appear_and_then_it_asks_no_more(server: TaskServer, page: "Page", tmp_path: Path) -> None:
    tab = Tab(page, server.url)
    assert set(tab.turn(EVERY_SECONDS + 1)) == {STATUS_PATH}
    manifest = publish(tmp_path, 4, awaited_points(4))
    server.until(lambda: server.ask("GET", STATUS_PATH).json()["snapshot"] == manifest.digest)
    asked = tab.turn(EVERY_SECONDS + 1)
    tab.shows(4)
    assert [*asked, *tab.asked()].count(STATUS_PATH) == 1
    page.mouse.move(300, 300)
    assert [tab.turn(60) for _ in range(3)] == [[]] * 3


def test_the_page_of_a_finished_task_asks_nothing_but_shows_what_came_since(
    server: TaskServer, page: "Page", tmp_path: Path
) -> None:
    publish(tmp_path, 3, awaited_points(3))
    server.until(lambda: server.ask("GET", STATUS_PATH).json()["finished"])
    tab = Tab(page, server.url)
    page.mouse.move(300, 300)
    assert [tab.turn(60) for _ in range(3)] == [[]] * 3
    manifest = publish(tmp_path, 4, awaited_points(3))
    server.until(lambda: server.ask("GET", STATUS_PATH).json()["snapshot"] == manifest.digest)
    page.reload()
    tab.shows(4)


def test_whatever_the_content_it_is_a_script() -> None:
    assert 'var shown = ["d\\"1"]' in make_live_look('d"1')
