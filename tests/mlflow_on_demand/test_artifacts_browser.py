"""A run's artifacts in MLflow's own pages: seen and downloaded; one that is hostile comes to nothing."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from support.both_servers import Both
from support.parity_requests import Read
from support.rich_files import FILES, HOSTILE
from support.ui_walk import PATIENCE_MS

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

# The button has a picture and no name.
DOWNLOAD = '[data-component-id$="artifactview.tsx_337"]'
ATTEMPTS = ("read", "read with credentials", "post", "page", "state", "cookies")


@pytest.fixture
def page(task_browser: "Browser") -> Iterator["Page"]:
    context = task_browser.new_context(viewport={"width": 1400, "height": 900})
    yield context.new_page()
    context.close()


def open_artifact(page: "Page", both: Both, path: str) -> None:
    """MLflow's page of the run, with this artifact chosen."""
    ids = both.task.ids
    folder, _, name = path.rpartition("/")
    page.goto(f"{both.ours.url}#/experiments/{ids['experiment_id']}/runs/{ids['run_id']}/artifacts")
    for step in (*folder.split("/"), name) if folder else (name,):
        page.get_by_text(step, exact=True).first.click(timeout=PATIENCE_MS)


@pytest.mark.parametrize(
    ("path", "text"),
    [("log with space.txt", "zwei ☀"), ("summary.json", "grüße"), ("table.csv", "x")],
)
def test_texts_are_shown(page: "Page", both: Both, path: str, text: str) -> None:
    open_artifact(page, both, path)
    page.get_by_text(text).filter(visible=True).first.wait_for(timeout=PATIENCE_MS)


@pytest.mark.parametrize("path", ["plots/loss.png", "plots/deep/er/curve.svg"])
def test_images_are_shown(page: "Page", both: Both, path: str) -> None:
    open_artifact(page, both, path)
    page.wait_for_function(
        "[...document.querySelectorAll('img')].some((i) => /^(blob|data):/.test(i.src) && i.naturalWidth > 0)",
        timeout=PATIENCE_MS,
    )


def test_a_page_is_shown(page: "Page", both: Both) -> None:
    open_artifact(page, both, "report.html")
    page.frame_locator("iframe").get_by_text("A page of the job's own").wait_for(timeout=PATIENCE_MS)


@pytest.mark.parametrize("path", ["summary.json", "raw.bin", "plots/loss.png"])
def test_files_are_downloaded(page: "Page", both: Both, path: str) -> None:
    open_artifact(page, both, path)
    button = page.locator(DOWNLOAD)
    button.wait_for(timeout=PATIENCE_MS)
    with page.expect_download() as downloading:
        button.click()
    assert downloading.value.suggested_filename == path.rpartition("/")[2]
    assert Path(downloading.value.path()).read_bytes() == FILES[path]


def test_a_hostile_page_cannot_act_as_the_viewer(page: "Page", both: Both) -> None:
    """MLflow shows it in a frame, where its script runs, but as nobody."""
    open_artifact(page, both, "hostile.html")
    told = page.frame_locator("iframe").locator("#told:not(:empty)")
    told.wait_for(timeout=PATIENCE_MS)
    assert json.loads(told.inner_text()) == dict.fromkeys(ATTEMPTS, "refused")


def test_its_script_could_do_all_that_as_the_viewer(page: "Page", both: Both) -> None:
    """The same script in a page of the server's own, or the test above would prove nothing."""
    page.goto(f"{both.ours.url}version")
    page.set_content(HOSTILE.decode())
    told = page.locator("#told:not(:empty)")
    told.wait_for(timeout=PATIENCE_MS)
    assert json.loads(told.inner_text()) == dict.fromkeys(ATTEMPTS, "done")


@pytest.mark.parametrize("path", ["hostile.html", "plots/deep/er/curve.svg"])
def test_an_artifact_never_opens_as_a_page(page: "Page", both: Both, path: str) -> None:
    """Whoever follows a link to it gets a file."""
    page.goto(f"{both.ours.url}version")
    link = f"/get-artifact?run_uuid={both.task.ids['run_id']}&path={quote(path)}"
    with page.expect_download() as downloading:
        page.evaluate("(link) => { location.href = link; }", link)
    assert Path(downloading.value.path()).read_bytes() == FILES[path]


@pytest.mark.parametrize(
    "path",
    [
        "/get-artifact?run_uuid=<run_id>&path=hostile.html",
        "/get-artifact?run_uuid=<run_id>&path=plots/deep/er/curve.svg",
        "/model-versions/get-artifact?name=net&version=2&path=hostile.html",
        "/ajax-api/2.0/mlflow/logged-models/<model_id>/artifacts/files?artifact_file_path=MLmodel",
        "/ajax-api/2.0/mlflow/get-trace-artifact?request_id=<job_trace_id>",
        "/ajax-api/3.0/mlflow/get-trace-artifact?request_id=<job_trace_id>&path=<attachment>",
    ],
)
def test_every_way_to_an_artifact_disarms_it(both: Both, path: str) -> None:
    for name, value in both.task.ids.items():
        path = path.replace(f"<{name}>", value)
    answer = both.ask_ours(Read(f"GET {path}", path))
    assert answer.status_code == 200
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["x-content-type-options"] == "nosniff"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox;")
    assert "default-src 'none'" in policy
