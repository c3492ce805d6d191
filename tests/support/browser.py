"""A real Chromium, the system's own: what a physicist sees is judged in a browser, not by reading HTML."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

from support.need import lacking

QUIET = (
    "--headless",
    "--no-sandbox",  # tests run as root in containers
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def open_chromium(*arguments: str) -> Iterator[Browser]:
    """Lend a browser, which is gone afterwards; its pages need a context each (`browser.new_context()`).

    `arguments` are Chromium's own.

    While it is open, this thread counts as running an event loop, so that `asyncio.run` is refused in it.
    """
    executable = shutil.which("chromium")
    if executable is None:
        lacking("chromium is not installed: run tests/install-debian-packages")
    with sync_playwright() as playwright:
        # Ctrl-C reaches the tests, which close the browser: were it gone by then, closing would fail
        browser = playwright.chromium.launch(
            executable_path=executable,
            args=[*QUIET, *arguments],
            handle_sigint=False,
            handle_sigterm=False,
            handle_sighup=False,
        )
        try:
            yield browser
        finally:
            browser.close()
