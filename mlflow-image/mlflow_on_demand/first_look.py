"""The first look: a script that makes MLflow's page open on this task's runs and charts, best first.

MLflow 3.17 would land a physicist on an overview of traces that do not exist, with an assistant over a third of the
page, and would ask for everything again each 30 s for ever, which keeps a pod awake. The script runs before MLflow's
own and writes into the browser's storage what MLflow itself keeps there, only where nothing is kept yet: what a viewer
changes stays changed. Pure. The keys are those of MLflow 3.17's page.
"""

import json

from mlflow_on_demand.snapshot import Manifest, Objective

_STATE_KEY = 'MLflowLocalStorage-1.1-ExperimentPage-["{id}"]-ReactComponentState'
_HOUSE_RULES = {
    "mlflow.workflowType_v1": '"machine_learning"',
    "mlflow.assistant.panelOpen_v1": "false",
    "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": "true",
}

_SCRIPT = """(function () {
  var look = %s;
  try {
    Object.keys(look.storage).forEach(function (key) {
      if (localStorage.getItem(key) === null) localStorage.setItem(key, look.storage[key]);
    });
  } catch (blocked) { /* storage is switched off: MLflow then shows its own defaults */ }
  if (location.hash === "" || location.hash === "#" || location.hash === "#/") {
    history.replaceState(null, "", location.pathname + location.search + look.landing);
  }
})();
"""

_BACK_TO_WAITING = 'location.replace("/bigpanda/preparing" + location.hash);\n'


def make_first_look(manifest: Manifest) -> str:
    """The script for a snapshot."""
    storage = dict(_HOUSE_RULES)
    for experiment in manifest.experiments:
        storage[_STATE_KEY.format(id=experiment.id)] = json.dumps(make_view(manifest.objective), separators=(",", ":"))
    look = {"storage": storage, "landing": make_landing(manifest)}
    return _SCRIPT % json.dumps(look).replace("</", "<\\/")


def make_view(objective: Objective | None) -> dict[str, object]:
    """The state of an experiment's page: sorted by the objective, charts shown, no refreshing by itself."""
    order = {"orderByKey": "attributes.start_time", "orderByAsc": False}
    if objective is not None:
        order = {"orderByKey": f"metrics.`{objective.metric}`", "orderByAsc": objective.direction == "minimize"}
    return {**order, "autoRefreshEnabled": False}


def make_landing(manifest: Manifest) -> str:
    """The fragment of the address on which the page opens: the first experiment's runs, as charts."""
    return f"#/experiments/{manifest.experiments[0].id}/runs?compareRunsMode=CHART"


def make_detour() -> str:
    """The script when there is no snapshot after all: back to the page that waits for one."""
    return _BACK_TO_WAITING
