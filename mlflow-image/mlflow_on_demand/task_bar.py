"""A slim bar above MLflow's page: the task's number, its segments to choose between, its best run.

MLflow shows one experiment at a time and keeps the others two clicks away, and it names neither the task nor, across
segments, the best run. The bar takes its height from MLflow's own root, so it hides nothing, and it is there before
MLflow is, in the theme that MLflow will choose. The script also mends what cannot be seen in the dark: MLflow 3.17
draws axes, and the lines of the lowest values, in black. Pure.
"""

import json

from mlflow_on_demand.snapshot import Experiment, Manifest

_STYLE = """
#bigpanda-bar { box-sizing: border-box; height: 36px; padding: 0 16px; display: flex; align-items: center; gap: 16px;
  white-space: nowrap; font: 13px/20px system-ui, sans-serif; color: #1f272d; background: #fff;
  border-bottom: 1px solid #d8dee4; }
#bigpanda-bar ~ #root { height: calc(100% - 36px); }
#bigpanda-bar nav { display: flex; gap: 4px; min-width: 0; overflow-x: auto; scrollbar-width: thin; }
#bigpanda-bar a { color: #0e538b; text-decoration: none; }
#bigpanda-bar a:hover { text-decoration: underline; }
#bigpanda-bar nav a { padding: 2px 10px; border-radius: 12px; }
#bigpanda-bar nav a[aria-current] { color: #fff; background: #2272b4; }
#bigpanda-bar p { margin: 0 0 0 auto; flex: none; max-width: 40%; overflow: hidden; text-overflow: ellipsis; }
@media (max-width: 640px) { #bigpanda-bar p { display: none; } }
.dark-mode #bigpanda-bar { color: #e8ecf0; background: #11171c; border-color: #37444f; }
.dark-mode #bigpanda-bar a { color: #8acaff; }
.dark-mode #bigpanda-bar nav a[aria-current] { color: #fff; background: #2272b4; }
.dark-mode .parcoords canvas, .dark-mode .parcoords rect[style*="mygrad"] { filter: contrast(.5) brightness(1.7); }
.dark-mode .parcoords .axis path, .dark-mode .parcoords .axis line { stroke: #7f8d99 !important; }
"""

_SCRIPT = """(function () {
  var task = %s;
  function add(parent, name, text, address) {
    var element = parent.appendChild(document.createElement(name));
    element.textContent = text;
    if (address) element.href = address;
    return element;
  }
  add(document.head, "style", task.style);
  // The page is read, and none of MLflow's scripts has run.
  document.addEventListener("readystatechange", function () {
    try {
      var dark = localStorage.getItem("_mlflow_dark_mode_toggle_enabled");
      dark = dark === null ? matchMedia("(prefers-color-scheme: dark)").matches : dark === "true";
      document.body.classList.toggle("dark-mode", dark);
    } catch (blocked) { /* as MLflow finds it */ }
    var bar = document.createElement("header");
    bar.id = "bigpanda-bar";
    add(bar, "strong", "Task " + task.id);
    var choice = document.createElement("nav");
    choice.setAttribute("aria-label", "Segments");
    if (task.segments.length > 0) bar.appendChild(choice);
    var links = task.segments.map(function (segment) { return add(choice, "a", segment.name, segment.address); });
    if (task.best) {
      var best = add(bar, "p", "Best " + task.best.value + ": ");
      add(best, "a", task.best.name, task.best.address);
    }
    function mark() {
      links.forEach(function (link, index) {
        var there = location.hash.split(/[/?]/)[2] === task.segments[index].id;
        link.removeAttribute("aria-current");
        if (!there) return;
        link.setAttribute("aria-current", "true");
        link.scrollIntoView({ block: "nearest", inline: "nearest" });
      });
    }
    ["pushState", "replaceState"].forEach(function (name) {
      var own = history[name];
      history[name] = function () { own.apply(history, arguments); mark(); };
    });
    window.addEventListener("popstate", mark);
    document.body.insertBefore(bar, document.getElementById("root"));
    mark();
  }, { once: true });
})();
"""


def make_bar(manifest: Manifest) -> str:
    """The part of the first look's script that puts the bar there."""
    several = manifest.experiments if len(manifest.experiments) > 1 else ()
    task = {
        "id": manifest.jeditaskid,
        "style": _STYLE,
        "segments": [
            {"id": one.id, "name": f"{one.name} ({one.runs})", "address": make_address(one)} for one in several
        ],
        "best": _describe_best(manifest),
    }
    return _SCRIPT % json.dumps(task).replace("</", "<\\/")


def make_address(experiment: Experiment) -> str:
    """The fragment that shows an experiment's runs, as charts."""
    return f"#/experiments/{experiment.id}/runs?compareRunsMode=CHART"


def _describe_best(manifest: Manifest) -> dict[str, str] | None:
    best, objective = manifest.best, manifest.objective
    if best is None or objective is None:
        return None
    return {
        "value": f"{objective.metric} {best.value:.6g}",
        "name": best.run_name or best.run_id,
        "address": f"#/experiments/{best.experiment_id}/runs/{best.run_id}",
    }
