"""A page that two MLflow releases answer by turns, request by request: nobody sees a difference, in a real Chromium.

The embedded Knative splits the traffic of one Service 50/50 between a Revision with MLflow 3.17 and one with 3.18. What
the browser notes on its walks is held against walks on either Revision alone, by their tags.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page

from mlflow_on_demand.landing import SEARCH_RUNS
from mlflow_on_demand.live_look import EVERY_SECONDS
from mlflow_on_demand.mlflow_facts import schema_revision
from mlflow_on_demand.pages import STATUS_PATH
from mlflow_on_demand.snapshot import download_database, find_manifest, open_snapshot_store
from support.hpo_files import TASK
from support.ui_walk import MACHINE_LEARNING, PATIENCE_MS, Notes, come_to_rest, listen, make_pages
from support.upgraded_task import UpgradedTask, serving_both_releases

WALKS = 2
LOADS = 4
RUN = "best ☀"
# Of all pages, those that bring files of their own and show what this task has.
PAGES = ("run", "run's metrics", "run's artifacts", "comparison", "model")


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpgradedTask]:
    with serving_both_releases(tmp_path_factory.mktemp("upgraded")) as task:
        task.add_candidate()
        task.split(50)
        yield task


@pytest.fixture(scope="module")
def fragments(task: UpgradedTask, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    store = open_snapshot_store(task.store.as_uri(), TASK, schema_revision())
    found = find_manifest(store)
    assert found is not None
    path = tmp_path_factory.mktemp("ids") / "snapshot.db"
    download_database(store, found[0], path)
    with closing(sqlite3.connect(path)) as database:
        runs = dict(database.execute("SELECT name, run_uuid FROM runs WHERE lifecycle_stage = 'active'").fetchall())
        [model, *_] = [str(one) for (one,) in database.execute("SELECT model_id FROM logged_models ORDER BY 1")]
    ids = {"experiment_id": str(TASK), "run_id": runs[RUN], "model_id": model, "trace_id": ""}
    pages = make_pages(ids, [runs["child"], runs["killed"]])
    return [pages[name][0] for name in PAGES]


def walk(browser: Browser, address: str, fragments: list[str]) -> tuple[Notes, set[str]]:
    """A new viewer, with nothing cached: lands, goes from page to page, reloads; and whose pages it got."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    context.add_init_script(MACHINE_LEARNING)
    page = context.new_page()
    notes, releases = listen(page), set()
    page.goto(address)
    see_runs(page, notes)
    releases.add(main_script(page))
    for fragment in fragments:
        page.goto(f"{address}{fragment}")
        come_to_rest(page, notes)
        assert len(page.locator("#root").inner_text()) > 100, fragment
    if fragments:
        page.goto(address)
        page.reload()
        see_runs(page, notes)
        releases.add(main_script(page))
    context.close()
    return notes, releases


def see_runs(page: Page, notes: Notes) -> None:
    page.get_by_text(RUN).filter(visible=True).first.wait_for(timeout=PATIENCE_MS)
    come_to_rest(page, notes)


def main_script(page: Page) -> str:
    return str(page.locator("script[src*='/main.']").get_attribute("src"))


@pytest.mark.browser
def test_nothing_fails_that_does_not_fail_on_one_release(
    chromium: Browser, task: UpgradedTask, fragments: list[str]
) -> None:
    alone, scripts = [], set[str]()
    for tag in ("current", "candidate"):
        notes, releases = walk(chromium, f"http://{tag}-{task.netloc}/", fragments)
        assert len(releases) == 1
        alone.append(notes)
        scripts |= releases
    assert len(scripts) == 2
    failed = set().union(*(notes.failed for notes in alone))
    complaints = set().union(*(notes.complaints for notes in alone))
    seen = set[str]()
    for count in range(WALKS + LOADS):
        notes, releases = walk(chromium, f"http://{task.netloc}/", fragments if count < WALKS else [])
        assert notes.failed - failed == set()
        assert notes.complaints - complaints == set()
        seen |= releases
    assert seen == scripts


@pytest.mark.browser
def test_the_table_does_not_ask_anew_because_another_release_answers(chromium: Browser, task: UpgradedTask) -> None:
    """That it does when there are other results: see test_live_look.py."""
    context = chromium.new_context(viewport={"width": 1400, "height": 900})
    page, snapshots, asked = context.new_page(), set[str](), set[str]()
    page.clock.install()
    notes = listen(page)
    page.goto(f"http://{task.netloc}/")
    see_runs(page, notes)
    page.on("request", lambda request: asked.add(urlsplit(request.url).path))
    while len(snapshots) < 2:
        with page.expect_response(lambda response: urlsplit(response.url).path == STATUS_PATH) as answer:
            page.clock.fast_forward((EVERY_SECONDS + 1) * 1000)
            page.mouse.move(300, 300 + len(asked))
        snapshots.add(answer.value.json()["snapshot"])
        page.wait_for_timeout(500)
    assert SEARCH_RUNS not in asked
    context.close()
