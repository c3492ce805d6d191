"""When a page was painted, as it sees that itself: asking from outside comes late, and takes the page's own time."""

import json
from collections.abc import Sequence
from typing import Any

from playwright.sync_api import Browser

from support.runs_page import VIEWPORT

_GIVE_UP_MS = 120_000

# The frame after the one that holds an element begins when that one has been painted.
_WATCH = """(() => {
  const selectors = %s;
  window.paintedAt = {};
  function look() {
    const missing = selectors.filter(selector => !(selector in window.paintedAt));
    const found = missing.filter(selector => document.querySelector(selector)?.getClientRects().length);
    if (missing.length > 0) requestAnimationFrame(look);
    if (found.length > 0) requestAnimationFrame(() => found.forEach(selector => {
      window.paintedAt[selector] = (performance.timeOrigin + performance.now()) / 1000;
    }));
  }
  requestAnimationFrame(look);
})()"""
_ALL = "selectors => selectors.every(selector => selector in window.paintedAt) && window.paintedAt"


def open_until_painted(
    browser: Browser, address: str, selectors: Sequence[str], link: dict[str, Any] | None = None
) -> list[float]:
    """A browser that has never been there opens the address; when, in seconds since 1970, what each of the CSS
    `selectors` finds was painted. `link` is what DevTools emulate of a network.
    """
    context = browser.new_context(viewport=VIEWPORT)
    page = context.new_page()
    if link is not None:
        context.new_cdp_session(page).send("Network.emulateNetworkConditions", link)
    page.add_init_script(_WATCH % json.dumps(selectors))
    page.goto(address, wait_until="commit")
    painted = page.wait_for_function(_ALL, arg=selectors, polling=100, timeout=_GIVE_UP_MS).json_value()
    context.close()
    return [float(painted[selector]) for selector in selectors]
