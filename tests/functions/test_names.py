import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigpanda_mlflow.names import jeditaskid_of, page_url, service_name
from mlflow_on_demand.settings import MAX_JEDITASKID

TASKS = st.integers(1, MAX_JEDITASKID)


@given(TASKS)
def test_a_name_is_a_dns_1035_label_and_leads_back(task: int) -> None:
    name = service_name(task)
    assert re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", name)
    assert jeditaskid_of(name) == task


@given(TASKS, TASKS)
def test_two_tasks_never_share_a_name(one: int, other: int) -> None:
    assert (service_name(one) == service_name(other)) == (one == other)


@given(st.text())
def test_only_our_own_names_lead_to_a_task(name: str) -> None:
    task = jeditaskid_of(name)
    assert task is None or service_name(task) == name


@pytest.mark.parametrize(
    "name", ["task-0", "task-01", "task-9007199255", "task-\u0661", "task-1\n", "Task-1", "visualize"]
)
def test_what_is_no_task(name: str) -> None:
    assert jeditaskid_of(name) is None


@pytest.mark.parametrize("task", [0, -1, MAX_JEDITASKID + 1])
def test_an_impossible_task_has_no_name(task: int) -> None:
    with pytest.raises(ValueError, match="jeditaskid"):
        service_name(task)


def test_the_page_is_where_the_template_says() -> None:
    assert page_url("https://{service}.mlflow.cern.ch", 30456789) == "https://task-30456789.mlflow.cern.ch"
