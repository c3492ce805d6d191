import json
import re
from dataclasses import replace

import pytest

from mlflow_on_demand.first_look import make_detour, make_first_look, make_view
from mlflow_on_demand.pages import make_preparing_page
from mlflow_on_demand.snapshot import BestRun, Objective
from mlflow_on_demand.stage import Stage
from mlflow_on_demand.task_bar import make_bar
from mlflow_on_demand.ui_page import SCRIPT_PATH, make_page
from support.snapshots import MANIFEST

OBJECTIVE = MANIFEST.objective
EXPERIMENT = MANIFEST.experiments[0]


def look_of(script: str) -> dict[str, object]:
    return object_in(r"var look = (.*), OURS = ", script)


def bar_of(script: str) -> dict[str, object]:
    return object_in(r"var task = (.*);\n", script)


def object_in(pattern: str, script: str) -> dict[str, object]:
    found = re.search(pattern, script)
    assert found is not None
    read: dict[str, object] = json.loads(found[1])
    return read


def jsonable(view: dict[str, object]) -> object:
    return json.loads(json.dumps(view))


def test_every_experiment_is_seeded_and_the_first_is_opened() -> None:
    calo, muon = MANIFEST.experiments
    assert look_of(make_first_look(MANIFEST)) == {
        "rules": {
            "mlflow.workflowType_v1": '"machine_learning"',
            "mlflow.assistant.panelOpen_v1": "false",
            "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": "true",
        },
        "views": {
            'MLflowLocalStorage-1.1-ExperimentPage-["70"]-ReactComponentState': jsonable(make_view(calo, OBJECTIVE)),
            'MLflowLocalStorage-1.1-ExperimentPage-["71"]-ReactComponentState': jsonable(make_view(muon, OBJECTIVE)),
        },
        "lists": ["compareRunCharts", "compareRunSections"],
        "landing": "#/experiments/70/runs?compareRunsMode=CHART",
    }


def test_the_hyperparameters_stand_against_the_objective() -> None:
    assert make_view(EXPERIMENT, Objective("val/loss", "minimize")) == {
        "orderByKey": "metrics.`val/loss`",
        "orderByAsc": True,
        "selectedColumns": ["metrics.`val/loss`", "params.`lr`", "params.`seed`"],
        "compareRunCharts": [
            {
                "uuid": "bigpanda-axes",
                "type": "PARALLEL",
                "metricSectionId": "bigpanda-hyperparameters",
                "deleted": False,
                "isGenerated": False,
                "selectedParams": ("lr",),
                "selectedMetrics": ["val/loss"],
                "showAllRuns": True,
            },
            {
                "uuid": "bigpanda-objective",
                "type": "BAR",
                "metricSectionId": "bigpanda-curves",
                "deleted": False,
                "isGenerated": True,
                "metricKey": "val/loss",
                "displayName": "loss",
            },
        ],
        "compareRunSections": [
            section("bigpanda-hyperparameters", "Hyper-parameters and val/loss") | {"columns": 1},
            section("bigpanda-curves", "val"),
        ],
        "isAccordionReordered": True,
        "autoRefreshEnabled": False,
    }


def section(uuid: str, name: str) -> dict[str, object]:
    return {"uuid": uuid, "name": name, "display": True, "isReordered": True, "deleted": False}


def test_where_nothing_can_be_an_axis_the_objective_comes_first() -> None:
    view = make_view(replace(EXPERIMENT, axes=()), OBJECTIVE)
    charts, sections = view["compareRunCharts"], view["compareRunSections"]
    assert isinstance(charts, list)
    assert [chart["uuid"] for chart in charts] == ["bigpanda-objective"]
    assert sections == [section("bigpanda-curves", "Model metrics")]


def test_without_an_objective_the_newest_comes_first() -> None:
    order = {"orderByKey": "attributes.start_time", "orderByAsc": False, "autoRefreshEnabled": False}
    assert make_view(EXPERIMENT, None) == {**order, "selectedColumns": ["params.`lr`", "params.`seed`"]}
    assert make_view(replace(EXPERIMENT, hyperparameters=()), None) == order


def test_the_greatest_comes_first_where_more_is_better() -> None:
    view = make_view(EXPERIMENT, Objective("a b", "maximize"))
    assert (view["orderByKey"], view["orderByAsc"]) == ("metrics.`a b`", False)


def test_the_bar_names_the_task_its_segments_and_its_best_run() -> None:
    best = BestRun("r1", "", "71", 0.123456789)
    task = bar_of(make_bar(replace(MANIFEST, best=best)))
    assert (task["id"], task["segments"]) == (
        7,
        [
            {"id": "70", "name": "calo (1)", "address": "#/experiments/70/runs?compareRunsMode=CHART"},
            {"id": "71", "name": "muon (1)", "address": "#/experiments/71/runs?compareRunsMode=CHART"},
        ],
    )
    assert task["best"] == {"value": "val loss 0.123457", "name": "r1", "address": "#/experiments/71/runs/r1"}
    alone = bar_of(make_bar(replace(MANIFEST, experiments=MANIFEST.experiments[:1])))
    assert (alone["segments"], alone["best"]) == ([], None)


def test_a_name_cannot_end_the_script() -> None:
    evil = "</script><script>alert(1)//"
    manifest = replace(
        MANIFEST,
        objective=Objective(evil, "minimize"),
        best=BestRun("r", evil, "70", 1.0),
        experiments=(replace(EXPERIMENT, name=evil, hyperparameters=(evil,), axes=(evil,)), EXPERIMENT),
    )
    script = make_first_look(manifest)
    assert "alert(1)" in script
    assert "</script" not in script


def test_the_script_stands_before_mlflows_own() -> None:
    page = make_page().decode()
    ours, theirs = page.index(f'<script src="{SCRIPT_PATH}"></script>'), page.index("static/js/main.")
    assert ours < theirs
    assert page.count("<script") == 2


@pytest.mark.parametrize("stage", Stage)
def test_the_waiting_page_needs_nothing(stage: Stage) -> None:
    page = make_preparing_page(7, stage, "<b>No.</b>")
    assert "&lt;b&gt;No.&lt;/b&gt;" in page
    assert not re.search(r"""(src|href)=["']|https?://|url\(""", page)
    assert "/bigpanda/preparing" in make_detour()
