"""The page of the sample task in a physicist's browser: what it shows when all is well."""

import re
import tarfile
from pathlib import Path

from playwright.sync_api import Page, ViewportSize

from bigpanda_laptop.sample import TARBALLS

VIEWPORT: ViewportSize = {"width": 1400, "height": 900}


def assert_shows_runs(tab: Page, segment: str, screenshot: Path) -> None:
    """The tab, on its way to the page, lands on the segment's runs, by the names MLflow gave them, and on charts."""
    tab.wait_for_url("**/runs*", timeout=90_000)
    names = run_names(segment)
    tab.get_by_text(f"{len(names)} matching runs").wait_for(timeout=60_000)
    tab.locator(".js-plotly-plot .trace").first.wait_for(state="attached", timeout=60_000)
    links = tab.get_by_role("link").filter(has_text=re.compile("-"))
    tab.screenshot(path=str(screenshot))
    assert len(set(links.all_inner_texts()) & names) >= 10


def run_names(segment: str) -> set[str]:
    """The names that MLflow gave to the sample's runs, as the grid jobs stored them."""
    names = set()
    for path in TARBALLS.glob(f"{segment}.*.tgz"):
        with tarfile.open(path) as archive:
            for member in archive:
                if member.name.endswith("/tags/mlflow.runName"):
                    content = archive.extractfile(member)
                    assert content is not None
                    names.add(content.read().decode())
    return names
