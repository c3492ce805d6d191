"""The first look: a script that makes MLflow's page open on this task's runs and charts, best first.

MLflow 3.17 would land a physicist on an overview of traces that do not exist, with an assistant over a third of the
page, and would ask for everything again each 30 s for ever, which keeps a pod awake. The script runs before MLflow's
own and writes into the browser's storage what MLflow itself keeps there, only where nothing is kept yet: what a viewer
changes stays changed. MLflow's refreshing is off: see live_look.py for ours. Pure. The keys are those of MLflow 3.17's
page.
"""

import json

from mlflow_on_demand.snapshot import Experiment, Manifest, Objective
from mlflow_on_demand.task_bar import make_address, make_bar

_HOUSE_RULES = {
    "mlflow.workflowType_v1": '"machine_learning"',
    "mlflow.assistant.panelOpen_v1": "false",
    "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": "true",
}
# MLflow's own name for the section of the metrics without a "/" in their name.
_PLAIN_METRICS = "Model metrics"

# What MLflow keeps of an experiment's page is MLflow's and the viewer's; beside it we keep what we wrote there, so that
# a task that has grown can renew those parts that nobody changed.
_SCRIPT = """(function () {
  var look = %s, OURS = "bigpanda.firstLook.";
  function same(one, other) { return JSON.stringify(one) === JSON.stringify(other); }
  function place(items, uuid) { return items.map(function (item) { return item.uuid; }).indexOf(uuid); }
  function renewItems(kept, before, now) {
    now.forEach(function (item, index) {
      var was = place(before, item.uuid), is = place(kept, item.uuid);
      if (was < 0 && is < 0) kept.splice(index, 0, item);
      if (is >= 0 && same(kept[is], before[was])) kept[is] = item;
    });
  }
  function renew(kept, before, now) {
    Object.keys(now).forEach(function (field) {
      if (same(kept[field], before[field])) kept[field] = now[field];
      else if (look.lists.indexOf(field) >= 0 && kept[field]) renewItems(kept[field], before[field] || [], now[field]);
    });
    return kept;
  }
  function seed(key, view) {
    var kept = localStorage.getItem(key), before = localStorage.getItem(OURS + key), now = JSON.stringify(view);
    if (kept === null) localStorage.setItem(key, now);
    else if (before === null || before === now) return;
    else localStorage.setItem(key, JSON.stringify(renew(JSON.parse(kept), JSON.parse(before), view)));
    localStorage.setItem(OURS + key, now);
  }
  try {
    Object.keys(look.rules).forEach(function (key) {
      if (localStorage.getItem(key) === null) localStorage.setItem(key, look.rules[key]);
    });
    Object.keys(look.views).forEach(function (key) { seed(key, look.views[key]); });
  } catch (blocked) { /* storage is switched off, or holds no state: MLflow then shows its own defaults */ }
  if (location.hash === "" || location.hash === "#" || location.hash === "#/") {
    history.replaceState(null, "", location.pathname + location.search + look.landing);
  }
})();
"""

_BACK_TO_WAITING = 'location.replace("/bigpanda/preparing" + location.hash);\n'


def make_first_look(manifest: Manifest) -> str:
    """The script for a snapshot."""
    look = {
        "rules": _HOUSE_RULES,
        "views": {state_key(one): make_view(one, manifest.objective) for one in manifest.experiments},
        "lists": ["compareRunCharts", "compareRunSections"],
        "landing": make_landing(manifest),
    }
    return _SCRIPT % json.dumps(look).replace("</", "<\\/") + make_bar(manifest)


def state_key(experiment: Experiment) -> str:
    """Under which name a browser's storage keeps the state of an experiment's page."""
    return f'MLflowLocalStorage-1.1-ExperimentPage-["{experiment.id}"]-ReactComponentState'


def make_view(experiment: Experiment, objective: Objective | None) -> dict[str, object]:
    """The state of an experiment's page: best first, the hyper-parameters as columns and against the objective, the
    learning curves below (MLflow adds a chart for every metric that has none), no refreshing by itself.
    """
    order = {"orderByKey": "attributes.start_time", "orderByAsc": False}
    columns = [f"params.`{name}`" for name in experiment.hyperparameters]
    charts = {}
    if objective is not None:
        best = f"metrics.`{objective.metric}`"
        order = {"orderByKey": best, "orderByAsc": objective.direction == "minimize"}
        columns.insert(0, best)
        charts = _make_charts(experiment, objective.metric)
    return {**order, **({"selectedColumns": columns} if columns else {}), **charts, "autoRefreshEnabled": False}


def _make_charts(experiment: Experiment, metric: str) -> dict[str, object]:
    """Two sections, which come before any that MLflow adds: the axes in one, in the other the objective's own curve
    before those of its neighbours.
    """
    group, _, title = metric.rpartition("/")
    parallel = {
        "uuid": "bigpanda-axes",
        "type": "PARALLEL",
        "metricSectionId": "bigpanda-hyperparameters",
        "deleted": False,
        "isGenerated": False,
        "selectedParams": experiment.axes,
        "selectedMetrics": [metric],
        "showAllRuns": True,
    }
    curve = {
        "uuid": "bigpanda-objective",
        "type": "BAR",  # MLflow turns generated bars into a curve where there is a history
        "metricSectionId": "bigpanda-curves",
        "deleted": False,
        "isGenerated": True,
        "metricKey": metric,
        "displayName": title,
    }
    sections = [
        _make_section("bigpanda-hyperparameters", f"Hyper-parameters and {metric}", columns=1),
        _make_section("bigpanda-curves", group or _PLAIN_METRICS),
    ]
    return {
        "compareRunCharts": [*([parallel] if experiment.axes else []), curve],
        "compareRunSections": sections if experiment.axes else sections[1:],
        "isAccordionReordered": True,
    }


def _make_section(uuid: str, name: str, **more: object) -> dict[str, object]:
    # "Reordered" keeps the order of charts as it is given; else MLflow sorts by name.
    return {"uuid": uuid, "name": name, "display": True, "isReordered": True, "deleted": False, **more}


def make_landing(manifest: Manifest) -> str:
    """The fragment of the address on which the page opens: the first experiment's runs, as charts."""
    return make_address(manifest.experiments[0])


def make_detour() -> str:
    """The script when there is no snapshot after all: back to the page that waits for one."""
    return _BACK_TO_WAITING
