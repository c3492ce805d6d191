"""Traffic blocks: always 100 %, never a target that moves by itself on a page."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigpanda_mlflow.traffic import current_revision, make_function_traffic, make_traffic, tagged_revision


@given(st.integers(0, 100), st.booleans(), st.booleans())
def test_a_pages_block_is_pinned_and_sums_to_100(percent: int, candidate: bool, previous: bool) -> None:
    block = make_traffic("a", candidate="b" * candidate, percent=percent, previous="c" * previous)
    assert sum(target["percent"] for target in block) == 100
    assert all(target["revisionName"] and not target["latestRevision"] for target in block)
    assert len({target["tag"] for target in block}) == len(block)
    assert current_revision({"spec": {"traffic": block}}) == "a"


def test_a_step() -> None:
    assert make_traffic("a", candidate="b", percent=10) == [
        {"revisionName": "a", "latestRevision": False, "percent": 90, "tag": "current"},
        {"revisionName": "b", "latestRevision": False, "percent": 10, "tag": "candidate"},
    ]


@pytest.mark.parametrize(
    "block", [make_function_traffic(), make_function_traffic(beside="b"), make_function_traffic("a")]
)
def test_a_functions_block_floats_and_sums_to_100(block: list[dict[str, Any]]) -> None:
    assert sum(target["percent"] for target in block) == 100
    assert sum(target["latestRevision"] for target in block) == 1


@pytest.mark.parametrize(
    ("wanted", "observed", "revision"),
    [
        ([{"latestRevision": True, "percent": 100}], [{"revisionName": "t-00001", "percent": 100}], "t-00001"),
        ([{"latestRevision": True, "percent": 100}], [], ""),
        (make_traffic("a", candidate="b", percent=50), make_traffic("z"), "a"),
        (
            [{"revisionName": "a", "percent": 30}, {"revisionName": "b", "percent": 70}],
            [{"revisionName": "z", "percent": 100}],
            "b",
        ),
    ],
    ids=["floating", "not ready yet", "by tag, as wanted", "by percent"],
)
def test_current_revision(wanted: list[dict[str, Any]], observed: list[dict[str, Any]], revision: str) -> None:
    assert current_revision({"spec": {"traffic": wanted}, "status": {"traffic": observed}}) == revision


def test_a_tag_is_reached_when_the_route_has_it() -> None:
    assert tagged_revision({"status": {"traffic": make_traffic("a", candidate="b")}}, "candidate") == "b"
    assert tagged_revision({"spec": {"traffic": make_traffic("a", candidate="b")}}, "candidate") == ""
