import json
import re
from dataclasses import replace

import pytest

from mlflow_on_demand.first_look import make_detour, make_first_look, make_landing, make_view
from mlflow_on_demand.pages import make_preparing_page
from mlflow_on_demand.snapshot import Objective
from mlflow_on_demand.stage import Stage
from mlflow_on_demand.ui_page import SCRIPT_PATH, make_page
from support.snapshots import MANIFEST


def look_of(script: str) -> dict[str, object]:
    found = re.search(r"var look = (.*);\n", script)
    assert found is not None
    look: dict[str, object] = json.loads(found[1])
    return look


def test_every_experiment_is_seeded_and_the_first_is_opened() -> None:
    look = look_of(make_first_look(MANIFEST))
    view = json.dumps(make_view(MANIFEST.objective), separators=(",", ":"))
    assert look == {
        "storage": {
            "mlflow.workflowType_v1": '"machine_learning"',
            "mlflow.assistant.panelOpen_v1": "false",
            "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": "true",
            'MLflowLocalStorage-1.1-ExperimentPage-["70"]-ReactComponentState': view,
            'MLflowLocalStorage-1.1-ExperimentPage-["71"]-ReactComponentState': view,
        },
        "landing": make_landing(MANIFEST),
    }


@pytest.mark.parametrize(
    ("objective", "view"),
    [
        (None, {"orderByKey": "attributes.start_time", "orderByAsc": False, "autoRefreshEnabled": False}),
        (
            Objective("a b", "minimize"),
            {"orderByKey": "metrics.`a b`", "orderByAsc": True, "autoRefreshEnabled": False},
        ),
        (
            Objective("acc", "maximize"),
            {"orderByKey": "metrics.`acc`", "orderByAsc": False, "autoRefreshEnabled": False},
        ),
    ],
)
def test_the_best_comes_first(objective: Objective | None, view: dict[str, object]) -> None:
    assert make_view(objective) == view


def test_a_name_cannot_end_the_script() -> None:
    evil = replace(MANIFEST, objective=Objective("</script><script>alert(1)//", "minimize"))
    assert "</script" not in make_first_look(evil)


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
