"""Every page of MLflow in a real Chromium: ours on a task's own host name beside stock on localhost."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from mlflow_on_demand.readonly import CONSTANTS, Verdict, judge
from support.both_servers import Both
from support.parity_requests import Read
from support.ui_walk import MACHINE_LEARNING, PATIENCE_MS, Notes, come_to_rest, listen, make_pages

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

# Asked on every page, of parts that are not here: see CONSTANTS, and doors.py for the account.
OF_OTHER_PARTS = frozenset(CONSTANTS) | {"/ajax-api/2.0/mlflow/users/current"}


@dataclass(frozen=True)
class Walks:
    """What the browser noted on the same walk; `missing` are pages that did not show what they must."""

    ours: Notes
    stock: Notes
    missing: set[str]


def walk(browser: "Browser", both: Both, address: str) -> tuple[Notes, set[str]]:
    """One tab that goes from page to page, beginning where MLflow puts it."""
    from playwright.sync_api import TimeoutError as NotShown

    with closing(sqlite3.connect(both.task.database)) as database:
        others = [run for (run,) in database.execute("SELECT run_uuid FROM runs WHERE name IN ('point 1', 'point 2')")]
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    context.add_init_script(MACHINE_LEARNING)
    page, missing = context.new_page(), set()
    notes = listen(page)
    page.goto(address)
    come_to_rest(page, notes)
    for name, (fragment, text) in make_pages(both.task.ids, others).items():
        page.goto(f"{address}/{fragment}")
        come_to_rest(page, notes)
        try:
            page.get_by_text(text).filter(visible=True).first.wait_for(timeout=PATIENCE_MS)
        except NotShown:
            missing.add(name)
    context.close()
    return notes, missing


@pytest.fixture(scope="module")
def walks(task_browser: "Browser", both: Both) -> Walks:
    stock, missing = walk(task_browser, both, both.stock.replace("127.0.0.1", "localhost"))
    assert missing == set()  # or a text is not the page's
    ours, missing = walk(task_browser, both, both.ours.url.rstrip("/"))
    return Walks(ours, stock, missing)


def test_every_page_shows_what_it_must(walks: Walks) -> None:
    assert walks.missing == set()


def test_nothing_fails_and_nobody_complains_where_stock_does_not(walks: Walks) -> None:
    assert walks.ours.failed - walks.stock.failed == set()
    assert walks.ours.complaints - walks.stock.complaints == set()


def test_every_request_of_the_pages_is_answered_as_by_stock(walks: Walks, both: Both) -> None:
    routes = set()
    for method, path, body in sorted(walks.ours.asked | walks.stock.asked):
        route = urlsplit(path).path
        if route == "/" or route in OF_OTHER_PARTS:
            continue
        assert judge(method, route) is not Verdict.REFUSED, (method, path)
        read = Read(f"{method} {route}", path, body.encode() if body else None)
        assert both.assert_same(read) < 400, read
        routes.add(route)
    assert len(routes) > 20


def test_what_is_asked_of_other_parts_is_told_as_stock_tells_it(walks: Walks, both: Both) -> None:
    """Stock has no account either, and, with nothing set up, neither gateway nor assistant."""
    asked = {read for read in walks.stock.asked | walks.ours.asked if urlsplit(read[1]).path in OF_OTHER_PARTS}
    assert {urlsplit(path).path for _, path, _ in asked} == OF_OTHER_PARTS
    for method, path, _ in asked:
        read = Read(f"{method} {path}", path)
        assert both.ask_ours(read).status_code == both.ask_stock(read).status_code
