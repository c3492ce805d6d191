"""What several modules of tests use. What two servers of one task show is made once, for it takes most of a minute."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.both_servers import PUBLIC_HOST, Both, serving_both
from support.opened import Open, opening

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="session")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """Stock MLflow and our server over the same task."""
    with serving_both(tmp_path_factory.mktemp("both")) as both:
        yield both


@pytest.fixture(scope="module")
def task_browser() -> Iterator["Browser"]:
    """A real browser that knows the task's host."""
    from support.browser import open_chromium

    with open_chromium(f"--host-resolver-rules=MAP {PUBLIC_HOST} 127.0.0.1") as browser:
        yield browser


@pytest.fixture
def page(chromium: "Browser") -> Iterator["Page"]:
    context = chromium.new_context(viewport={"width": 1400, "height": 900})
    yield context.new_page()
    context.close()


@pytest.fixture
def ingested(tmp_path: Path) -> Iterator[Open]:
    with opening(tmp_path) as open_task:
        yield open_task
