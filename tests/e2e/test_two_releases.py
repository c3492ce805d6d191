"""An upgrade of one task's page from MLflow 3.17 to 3.18 on the embedded Knative, step by step.

The candidate is verified by its tag; traffic is split 50/50, request by request, and nobody sees a difference in a real
Chromium: what it notes on its walks is held against walks on either Revision alone; then all goes over, and back.
"""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page

from bigpanda_mlflow.golden import find_snapshots
from bigpanda_mlflow.verification import Verdict as Agreed
from bigpanda_mlflow.verification import Verification
from embedded.kit import eventually
from mlflow_on_demand.landing import SEARCH_RUNS
from mlflow_on_demand.live_look import EVERY_SECONDS
from mlflow_on_demand.mlflow_facts import mlflow_version
from mlflow_on_demand.pages import STATUS_PATH
from mlflow_on_demand.readonly import API_READS, GRAPHQL, OTHER_READS, Verdict, judge
from mlflow_on_demand.snapshot import download_database
from support.hpo_files import TASK
from support.mlflow_routes import spell
from support.releases import other_version, run_other
from support.ui_walk import MACHINE_LEARNING, PATIENCE_MS, Notes, come_to_rest, listen, make_pages
from support.upgraded_task import SERVICE, UpgradedTask, serving_both_releases

WALKS = 2
LOADS = 4
POLLS = 8
PATIENCE = 120.0
RUN = "best ☀"
# Of all pages, those that bring files of their own and show what this task has.
PAGES = ("run", "run's metrics", "run's artifacts", "comparison", "model")


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpgradedTask]:
    with serving_both_releases(tmp_path_factory.mktemp("upgraded")) as task:
        task.add_candidate()
        yield task


@pytest.fixture(scope="module")
def snapshots(task: UpgradedTask, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The database of each release's snapshot."""
    folder, paths = tmp_path_factory.mktemp("snapshots"), {}
    for manifest, store in find_snapshots(task.store.as_uri(), TASK):
        paths[manifest.mlflow_version] = folder / manifest.mlflow_version
        download_database(store, manifest, paths[manifest.mlflow_version])
    return paths


@pytest.fixture(scope="module")
def fragments(snapshots: dict[str, Path]) -> list[str]:
    with closing(sqlite3.connect(snapshots[mlflow_version()])) as database:
        runs = dict(database.execute("SELECT name, run_uuid FROM runs WHERE lifecycle_stage = 'active'").fetchall())
        [model, *_] = [str(one) for (one,) in database.execute("SELECT model_id FROM logged_models ORDER BY 1")]
    ids = {"experiment_id": str(TASK), "run_id": runs[RUN], "model_id": model, "trace_id": "", "job_trace_id": ""}
    pages = make_pages(ids, [runs["child"], runs["killed"]])
    return [pages[name][0] for name in PAGES]


def read_rows(path: Path, columns: dict[str, list[str]]) -> dict[str, list[tuple[object, ...]]]:
    """Rows by table, of these columns."""
    with closing(sqlite3.connect(path)) as database:
        return {
            table: sorted(database.execute(f'SELECT {", ".join(names)} FROM "{table}"').fetchall(), key=repr)
            for table, names in columns.items()
        }


def read_columns(path: Path) -> dict[str, list[str]]:
    """The columns of every table of MLflow's, but for the one that names the schema."""
    with closing(sqlite3.connect(path)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            table: [f'"{row[1]}"' for row in database.execute(f'PRAGMA table_info("{table}")')]
            for table in tables
            if table != "alembic_version"
        }


def test_every_route_that_we_allow_is_one_of_the_other_release_too() -> None:
    """And whatever it has beyond is refused."""
    code = "import json; from support.mlflow_routes import flask_routes; print(json.dumps(sorted(flask_routes())))"
    routes, allowed = set(json.loads(run_other(code))), API_READS | OTHER_READS | {GRAPHQL}
    assert allowed <= routes
    for method, rule in (route.split(" ", 1) for route in routes - allowed):
        for path in spell(rule):
            assert judge(method, path) is Verdict.REFUSED, (method, path)


def test_both_snapshots_hold_the_same_rows_under_the_same_ids(snapshots: dict[str, Path]) -> None:
    ours, other = (read_columns(snapshots[version]) for version in (mlflow_version(), other_version()))
    assert ours != other  # the schemas differ
    common = {
        table: [name for name in names if name in other[table]] for table, names in ours.items() if table in other
    }
    assert common == ours
    rows = read_rows(snapshots[mlflow_version()], common)
    assert rows == read_rows(snapshots[other_version()], common)
    assert {"runs", "metrics", "params", "tags", "inputs", "datasets", "logged_models"} <= {
        table for table in rows if rows[table]
    }


def test_a_page_of_runs_goes_on_where_another_release_began_it(task: UpgradedTask) -> None:
    for first, second in (("current", "candidate"), ("candidate", "current")):
        found, token = list[str](), None
        for tag in (first, second, second):
            page = task.search(tag, max_results=1, **({} if token is None else {"page_token": token}))
            found += [run["info"]["run_name"] for run in page["runs"]]
            token = page.get("next_page_token")
        assert len({*found}) == 3


def test_the_candidate_is_verified_by_its_tag(task: UpgradedTask) -> None:
    verify = Verification(task.store.as_uri())
    for tag, version in (("candidate", other_version()), ("current", mlflow_version())):
        url, deadline = task.cluster.endpoints["internal"], time.monotonic() + PATIENCE
        host = f"{tag}-{SERVICE}.default.svc.cluster.local"
        assert verify(url, TASK, version, deadline, host) == Agreed(ok=True)


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
    # On a busy machine it seems at rest between the names and the charts, for which it asks again.
    page.locator(".js-plotly-plot .trace").first.wait_for(state="attached", timeout=PATIENCE_MS)
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
    task.split(50)
    seen, count = set[str](), 0
    while count < WALKS + LOADS or seen != scripts:
        notes, releases = walk(chromium, f"http://{task.netloc}/", fragments if count < WALKS else [])
        count += 1
        assert notes.failed - failed == set()
        assert notes.complaints - complaints == set()
        seen |= releases


def look_on(browser: Browser, task: UpgradedTask) -> list[str]:
    """What a page asks for once it has come to rest, and was told of both releases' snapshots by turns."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    page, told, asked = context.new_page(), list[str](), list[str]()
    page.clock.install()
    notes = listen(page)
    page.goto(f"http://{task.netloc}/")
    see_runs(page, notes)
    page.on("request", lambda request: asked.append(urlsplit(request.url).path))
    while len(told) < POLLS or len({*told}) < 2:
        with page.expect_response(lambda response: urlsplit(response.url).path == STATUS_PATH) as answer:
            page.clock.fast_forward((EVERY_SECONDS + 1) * 1000)
            page.mouse.move(300, 300 + len(told) % 2)
        told.append(answer.value.json()["snapshot"])
        page.wait_for_timeout(300)
    context.close()
    return asked


@pytest.mark.browser
def test_the_table_does_not_ask_anew_because_another_release_answers(chromium: Browser, task: UpgradedTask) -> None:
    """That it does when there are other results: see test_live_look.py."""
    task.split(50)
    assert SEARCH_RUNS not in look_on(chromium, task)


@pytest.mark.browser
def test_where_one_release_lags_behind_the_table_asks_anew_once(chromium: Browser, task: UpgradedTask) -> None:
    task.split(50)
    task.ingest_more_with_the_other_release()
    assert look_on(chromium, task).count(SEARCH_RUNS) <= 1
    deadline = time.monotonic() + PATIENCE
    host = f"candidate-{SERVICE}.default.svc.cluster.local"
    verify = Verification(task.store.as_uri())
    assert verify(task.cluster.endpoints["internal"], TASK, other_version(), deadline, host) == Agreed(ok=True)


def test_all_goes_to_the_candidate_and_back_by_one_patch_each(task: UpgradedTask) -> None:
    for percent, version in ((0, other_version()), (100, mlflow_version())):
        task.split(percent)
        eventually(lambda: {task.get("/version").text for _ in range(10)} == {version})  # noqa: B023
