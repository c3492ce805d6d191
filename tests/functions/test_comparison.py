"""What counts as a difference between two releases' answers, and how it is told."""

import copy
import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigpanda_mlflow.comparison import find_difference

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
NAMES = st.text("abcde", min_size=1, max_size=3)
ANSWERS = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=20
)
TAGS = st.lists(NAMES, unique=True, min_size=1, max_size=6)


def run(loss: float = 0.5, **changes: Any) -> dict[str, Any]:
    info = {"run_id": "r1", "status": "FINISHED", "end_time": None}
    data = {
        "metrics": [{"key": "acc", "value": 1, "step": 3}, {"key": "loss", "value": loss, "step": 3}],
        "tags": [{"key": "who", "value": "alice"}],
    }
    return {"info": info, "data": data, **changes}


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every place in an answer that holds a scalar: its container, and where in it."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    result: list[tuple[Any, Any]] = []
    for where, one in inside:
        result += places(one) if isinstance(one, dict | list) else [(value, where)]
    return result


@given(ANSWERS)
def test_an_answer_equals_itself(answer: Any) -> None:
    assert find_difference(answer, copy.deepcopy(answer)) is None


@given(ANSWERS, st.data())
def test_more_fields_are_no_difference(answer: Any, data: st.DataObject) -> None:
    now = copy.deepcopy(answer)
    objects = [now, *(container for container, _ in places(now))]
    for one in objects:
        if isinstance(one, dict):
            one[f"new {data.draw(NAMES)}"] = data.draw(ANSWERS)
    assert find_difference(answer, now) is None


@given(ANSWERS, st.data())
def test_whatever_is_changed_is_one(answer: Any, data: st.DataObject) -> None:
    now = copy.deepcopy(answer)
    if not places(now):
        return
    container, where = data.draw(st.sampled_from(places(now)))
    container[where] = "changed altogether"
    assert find_difference(answer, now) is not None


@given(ANSWERS, st.data())
def test_whatever_is_lost_is_one(answer: Any, data: st.DataObject) -> None:
    now = copy.deepcopy(answer)
    kept = [(container, where) for container, where in places(now) if container[where] is not None]
    if not kept:
        return
    container, where = data.draw(st.sampled_from(kept))
    del container[where]
    assert find_difference(answer, now) is not None


@given(TAGS, st.integers())
def test_items_with_a_key_may_come_in_any_order(keys: list[str], seed: int) -> None:
    before = {"tags": [{"key": key, "value": key * 2} for key in keys]}
    now = copy.deepcopy(before)
    random.Random(seed).shuffle(now["tags"])
    assert find_difference(before, now) is None


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=6), st.integers())
def test_so_may_the_points_of_a_history(points: list[tuple[int, int]], seed: int) -> None:
    before = [{"key": "loss", "value": value, "step": step, "timestamp": 0} for step, value in points]
    now = copy.deepcopy(before)
    random.Random(seed).shuffle(now)
    assert find_difference({"metrics": before}, {"metrics": now}) is None


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ({"runs": [run()]}, {"runs": [run()], "next_page_token": None}),
        ({"runs": [], "next_page_token": "one"}, {"runs": [], "next_page_token": "another"}),
        ({"end_time": None}, {}),
        ({"value": 1}, {"value": 1.0}),
        (
            {"tags": [{"key": "who", "value": "alice"}]},
            {"tags": [{"key": "who", "value": "alice"}, {"key": "mlflow.new", "value": "x"}]},
        ),
        ([{"key": "a", "value": 1}], [{"key": "a", "value": 1, "run_id": "r1"}]),
    ],
)
def test_what_a_newer_release_may_do(before: Any, now: Any) -> None:
    assert find_difference(before, now) is None


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        ({"runs": [run()] * 4}, {"runs": [run()] * 3}, "runs: 3 instead of 4"),
        (
            {"runs": [run(), run(), run(), run()]},
            {"runs": [run(), run(), run(), run(0.25)]},
            "runs[3].data.metrics: loss is 0.25 instead of 0.5",
        ),
        ({"runs": [run()]}, {"runs": [{"info": run()["info"]}]}, "runs[0]: data is missing"),
        (
            {"info": {"status": "FINISHED"}},
            {"info": {"status": "FAILED"}},
            'info: status is "FAILED" instead of "FINISHED"',
        ),
        ({"a": {"b": 1}}, {"a": [1]}, 'a is [1] instead of {"b": 1}'),
        ({"tags": [{"key": "a", "value": "1"}]}, {"tags": []}, "tags: a is missing"),
        (
            {"tags": [{"key": "a", "value": "1"}]},
            {"tags": [{"key": "b", "value": "1"}]},
            "tags: a is missing",
        ),
        (
            {"params": [{"key": "a", "value": "1"}]},
            {"params": [{"key": "a", "value": "1"}, {"key": "b", "value": "1"}]},
            "params: b was not there",
        ),
        (
            {"metrics": [{"key": "a", "step": 1}]},
            {"metrics": [{"key": "a", "step": 2}]},
            "metrics[a]: step is 2 instead of 1",
        ),
        ({"next_page_token": "x"}, {}, "next_page_token is missing"),
        ({"gateway": True}, {"gateway": 1}, "gateway is 1 instead of true"),
        ({"loss": math.nan}, {"loss": 1.5}, "loss is 1.5 instead of NaN"),
        (1, 2, "the answer is 2 instead of 1"),
        ({"note": "x" * 100}, {"note": "y"}, f'note is "y" instead of "{"x" * 79}…'),
    ],
)
def test_differences_in_words(before: Any, now: Any, told: str) -> None:
    assert find_difference(before, now) == told
