import json

import pytest

from mlflow_on_demand.landing import Asked, plan_charts, plan_landing
from mlflow_on_demand.snapshot import Experiment, Objective

EXPERIMENT = Experiment("70", "calo", "calo", 3)


@pytest.mark.parametrize(
    ("objective", "order"),
    [
        (None, "attributes.start_time DESC"),
        (Objective("val loss", "minimize"), "metrics.`val loss` ASC"),
        (Objective("acc", "maximize"), "metrics.`acc` DESC"),
    ],
)
def test_runs_are_searched_as_the_first_look_sorts_them(objective: Objective | None, order: str) -> None:
    search = plan_landing(EXPERIMENT, objective)[-1]
    assert (search.method, search.path) == ("POST", "/ajax-api/2.0/mlflow/runs/search")
    assert json.loads(search.body) == {
        "experiment_ids": ["70"],
        "run_view_type": "ACTIVE_ONLY",
        "max_results": 100,
        "order_by": [order],
    }


def run(number: int, **steps: int) -> dict[str, object]:
    metrics = [{"key": key, "value": 1.0, **({"step": step} if step else {})} for key, step in steps.items()]
    return {"info": {"run_id": f"r{number}"}, "data": {"metrics": metrics} if metrics else {}}


def test_each_metric_with_a_history_is_charted_for_the_first_ten_runs() -> None:
    found = {"runs": [run(0, bars=0, loss=4), run(1), *(run(number, loss=0, late=1) for number in range(2, 12))]}
    ids = "".join(f"run_ids=r{number}&" for number in range(10))
    path = "/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval"
    assert plan_charts(found) == (
        Asked(path, f"{ids}metric_key=late&max_results=320"),
        Asked(path, f"{ids}metric_key=loss&max_results=320"),
    )


@pytest.mark.parametrize("found", [{}, {"runs": []}, {"runs": [run(1), run(2, bars=0)]}])
def test_without_a_history_nothing_is_charted(found: object) -> None:
    assert plan_charts(found) == ()


def test_any_name_of_a_metric_is_asked_for_as_it_is() -> None:
    (asked,) = plan_charts({"runs": [run(1, **{"a b+c/ü&x": 1})]})
    assert json.loads(asked.key)[2] == [["max_results", "320"], ["metric_key", "a b+c/ü&x"], ["run_ids", "r1"]]
