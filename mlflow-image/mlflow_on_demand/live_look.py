"""The script that lets an open page follow a task that still runs, and never keeps a pod awake for a forgotten tab.

MLflow's own refreshing is off (see first_look.py): it asks for everything each 30 s for ever. This asks one tiny
question, and only while the task counts as running (see awaited.py), the page is in sight and its viewer was there
lately: whether there are other results. Then MLflow's table asks anew, as if a filter had been changed in the address:
the filter of datasets, which is JSON, gets a blank at its end or loses it, so it means what it meant. Nothing is
reloaded; what was chosen, arranged or scrolled to stays. Where there is no table, it asks when its viewer is back at
one. Pure. The address is that of MLflow 3.17's page, and of 3.18's.

While traffic is split, two Revisions answer by turns, of two MLflows with a snapshot each. What they are asked for is
the digest of what was ingested, not of the snapshot, which is the same in both; and where one lags behind the other,
the table asks anew once for each that the page was not told of before, so it does not flap.
"""

import json

from mlflow_on_demand.pages import STATUS_PATH

EVERY_SECONDS = 15
PATIENCE_SECONDS = 5 * 60
"""How long after the last movement of mouse, finger or key, or the page's opening, somebody still counts as there."""

_SCRIPT = """(function () {
  var shown = [%(content)s], EVERY = %(every)d, PATIENCE = %(patience)d;
  var timer = null, lastSeen = Date.now(), latest = "", isFinished = false;
  function isWatched() { return !document.hidden && Date.now() - lastSeen < PATIENCE; }
  function plan() { if (timer === null && !isFinished && isWatched()) timer = setTimeout(ask, EVERY); }
  function ask() {
    timer = null;
    if (!isWatched()) return;
    fetch(%(path)s, { cache: "no-store" })
      .then(function (answer) { return answer.json(); })
      .then(function (status) { latest = status.content; isFinished = status.finished; follow(); })
      .catch(function () { /* asked again */ })
      .then(plan);
  }
  function follow() {
    if (!latest || shown.indexOf(latest) >= 0) return;
    var page = location.hash.split("?"), query = new URLSearchParams(page[1] || "");
    var filter = query.get("datasetsFilter");
    if (!filter || !/^#\\/experiments\\/[0-9]+\\/runs\\/?$/.test(page[0])) return;
    shown.push(latest);
    var json = atob(filter);
    query.set("datasetsFilter", btoa(json.slice(-1) === " " ? json.slice(0, -1) : json + " "));
    history.replaceState(history.state, "", page[0] + "?" + query);
    dispatchEvent(new PopStateEvent("popstate", { state: history.state }));
  }
  function see() { lastSeen = Date.now(); follow(); plan(); }
  ["pointermove", "pointerdown", "keydown", "wheel", "touchstart"].forEach(function (kind) {
    addEventListener(kind, see, { capture: true, passive: true });
  });
  document.addEventListener("visibilitychange", function () { if (!document.hidden) see(); });
  plan();
})();
"""


def make_live_look(content: str) -> str:
    """The script for a page that opens on a snapshot of this content."""
    return _SCRIPT % {
        "content": json.dumps(content),
        "path": json.dumps(STATUS_PATH),
        "every": EVERY_SECONDS * 1000,
        "patience": PATIENCE_SECONDS * 1000,
    }
