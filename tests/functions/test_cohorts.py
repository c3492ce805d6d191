"""Cohorts: how far each takes the fleet, how many may fail."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigpanda_mlflow.cohorts import allowed_failures, cohort_marks

SHARES = st.lists(st.integers(1, 100).map("{}%".format) | st.integers(1, 9999).map(str), min_size=1, max_size=6)


@pytest.mark.parametrize(
    ("fleet", "shares", "marks"),
    [
        (1000, ("3", "10%", "50%", "100%"), (3, 100, 500, 1000)),
        (12, ("3", "10%", "50%", "100%"), (3, 3, 6, 12)),
        (2, ("3", "10%", "50%", "100%"), (2, 2, 2, 2)),
        (0, ("3", "100%"), (0, 0)),
        (10, ("3",), (3, 10)),
        (7, ("50%", "100%"), (4, 7)),
    ],
)
def test_marks(fleet: int, shares: tuple[str, ...], marks: tuple[int, ...]) -> None:
    assert cohort_marks(fleet, shares) == marks


@given(st.integers(0, 9999), SHARES)
def test_marks_never_fall_and_end_with_all(fleet: int, shares: list[str]) -> None:
    marks = cohort_marks(fleet, shares)
    assert list(marks) == sorted(marks)
    assert marks[-1] == fleet
    assert len(marks) - len(shares) in (0, 1)


@pytest.mark.parametrize(
    ("size", "percent", "allowed"), [(3, 10, 1), (100, 10, 10), (19, 10, 1), (100, 0, 0), (0, 10, 1), (50, 100, 50)]
)
def test_allowed_failures(size: int, percent: int, allowed: int) -> None:
    assert allowed_failures(size, percent) == allowed
