"""A plain table of the runs, painted as soon as they are known, that MLflow's own takes the place of.

MLflow's page names a run after two seconds of work in the browser, whoever serves it. What it will ask for first was
recorded; so our script asks for it at once, and shows the names, the objective and the hyper-parameters meanwhile, each
name a link to its run. Only where MLflow's own table will show the same: a viewer who filters or sorts for herself, and
an address that asks for something else, get MLflow's page alone. Pure. The names are those of MLflow 3.17's page.
"""

import json

from mlflow_on_demand.first_look import make_view, state_key
from mlflow_on_demand.landing import SEARCH_RUNS, plan_landing
from mlflow_on_demand.snapshot import Experiment, Manifest, Objective

_STYLE = """
#bigpanda-runs { position: fixed; inset: 36px 0 0; z-index: 1; box-sizing: border-box; overflow: auto; padding: 16px;
  font: 13px/20px system-ui, sans-serif; color: #1f272d; background: #fff; }
#bigpanda-runs table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
#bigpanda-runs caption { padding: 0 0 8px; color: inherit; caption-side: top; text-align: left; }
#bigpanda-runs th, #bigpanda-runs td { max-width: 160px; padding: 5px 16px 5px 0; overflow: hidden; white-space: nowrap;
  text-align: left; text-overflow: ellipsis; border-bottom: 1px solid #d8dee4; }
#bigpanda-runs a { color: #0e538b; text-decoration: none; }
#bigpanda-runs a:hover { text-decoration: underline; }
.dark-mode #bigpanda-runs { color: #e8ecf0; background: #11171c; }
.dark-mode #bigpanda-runs th, .dark-mode #bigpanda-runs td { border-color: #37444f; }
.dark-mode #bigpanda-runs a { color: #8acaff; }
"""

# What MLflow's page keeps of an experiment where nobody left out any run.
_WHOLE: dict[str, object] = {
    "searchFilter": "",
    "startTime": "ALL",
    "lifecycleFilter": "Active",
    "modelVersionFilter": "All Runs",
    "datasetsFilter": [],
    "groupBy": None,
}

_MOST_COLUMNS = 12

# MLflow's table, or what it shows instead, is there ten seconds after it began to paint at the latest.
_SCRIPT = """(function () {
  var all = %s, ROW = 31, LOOK_EVERY = 100, MOST_LOOKS = 100;
  var id = where(), own = all.experiments[id];
  if (!own || !isPlain()) return;
  var found = fetch(all.path, { method: "POST", headers: { "Content-Type": "application/json" }, body: own.search })
    .then(function (answer) { return answer.json(); });
  var isRead = new Promise(function (done) { document.addEventListener("readystatechange", done, { once: true }); });
  Promise.all([found, isRead]).then(function (both) { paint(both[0]); })
    .catch(function () { /* MLflow asks again, and says what is wrong */ });

  function where() { return (/^#\\/experiments\\/([0-9]+)(\\/runs)?\\/?(\\?|$)/.exec(location.hash) || [])[1]; }
  function isPlain() {
    try {
      var kept = JSON.parse(localStorage.getItem(own.state));
      return Array.from(new URLSearchParams(location.hash.split("?")[1] || "").keys()).every(function (name) {
        return name === "compareRunsMode" || name === "workflowType";
      }) && Object.keys(own.view).every(function (field) {
        return kept[field] === undefined || JSON.stringify(kept[field]) === JSON.stringify(own.view[field]);
      });
    } catch (blocked) { return false; }
  }
  function add(parent, name, text) {
    var element = parent.appendChild(document.createElement(name));
    if (text !== undefined) element.textContent = text;
    return element;
  }
  function read(run, column) {
    var item = (run.data[column.kind] || []).find(function (one) { return one.key === column.name; });
    if (!item) return "";
    return typeof item.value === "number" ? String(Number(item.value.toPrecision(6))) : String(item.value);
  }
  function paint(reply) {
    // No more than can be seen: the browser has enough to do for MLflow's page.
    var runs = (reply.runs || []).slice(0, Math.ceil(innerHeight / ROW));
    var root = document.getElementById("root"), looks = 0;
    if (runs.length === 0 || isOver()) return;
    var section = document.createElement("section"), table = add(section, "table");
    add(document.head, "style", all.style);
    section.id = "bigpanda-runs";
    add(table, "caption", runs.length + " of " + own.runs + " runs, " + own.order
      + ", while MLflow's own page is on its way");
    var head = add(add(table, "thead"), "tr"), body = add(table, "tbody");
    ["Run"].concat(own.columns.map(function (column) { return column.name; })).forEach(function (name) {
      add(head, "th", name).scope = "col";
    });
    runs.forEach(function (run) {
      var row = add(body, "tr"), link = add(add(row, "td"), "a", run.info.run_name || run.info.run_id);
      link.href = "#/experiments/" + id + "/runs/" + run.info.run_id;
      own.columns.forEach(function (column) { add(row, "td", read(run, column)); });
    });
    root.parentNode.insertBefore(section, root);
    var timer = setInterval(function () {
      if (root.firstChild) looks += 1;
      if (looks < MOST_LOOKS && !isOver()) return;
      clearInterval(timer);
      section.remove();
    }, LOOK_EVERY);
  }
  function isOver() {
    return where() !== id || document.querySelector('[role="gridcell"] a[href*="/runs/"]') !== null;
  }
})();
"""


def make_first_runs(manifest: Manifest) -> str:
    """The script for a snapshot; it needs what the first look has put into the browser's storage."""
    experiments = {one.id: _describe(one, manifest.objective) for one in manifest.experiments}
    everything = {"path": SEARCH_RUNS, "style": _STYLE, "experiments": experiments}
    return _SCRIPT % json.dumps(everything).replace("</", "<\\/")


def _describe(experiment: Experiment, objective: Objective | None) -> dict[str, object]:
    view = make_view(experiment, objective)
    columns = [{"kind": "params", "name": name} for name in experiment.hyperparameters]
    if objective is not None:
        columns.insert(0, {"kind": "metrics", "name": objective.metric})
    return {
        "search": plan_landing(experiment, objective)[-1].body.decode(),
        "state": state_key(experiment),
        "view": {**_WHOLE, "orderByKey": view["orderByKey"], "orderByAsc": view["orderByAsc"]},
        "columns": columns[:_MOST_COLUMNS],
        "runs": experiment.runs,
        "order": "newest first" if objective is None else f"best {objective.metric} first",
    }
