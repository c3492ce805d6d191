"""When a page was painted, as it sees that itself: asking from outside comes late, and takes the page's own time."""

import json
from typing import Any

from playwright.sync_api import Browser

from support.runs_page import VIEWPORT

_GIVE_UP_MS = 120_000

# The frame after the one that holds the element begins when that one has been painted.
_WATCH = """(() => {
  function look() {
    const found = document.querySelector(%s);
    if (!found || !found.getClientRects().length) return requestAnimationFrame(look);
    requestAnimationFrame(() => { window.paintedAt = (performance.timeOrigin + performance.now()) / 1000; });
  }
  requestAnimationFrame(look);
})()"""


def open_until_painted(browser: Browser, address: str, selector: str, link: dict[str, Any] | None = None) -> float:
    """A browser that has never been there opens the address; when, in seconds since 1970, what the CSS `selector` finds
    was painted. `link` is what DevTools emulate of a network.
    """
    context = browser.new_context(viewport=VIEWPORT)
    page = context.new_page()
    if link is not None:
        context.new_cdp_session(page).send("Network.emulateNetworkConditions", link)
    page.add_init_script(_WATCH % json.dumps(selector))
    page.goto(address, wait_until="commit")
    painted = page.wait_for_function("window.paintedAt", polling=100, timeout=_GIVE_UP_MS).json_value()
    context.close()
    return float(painted)
