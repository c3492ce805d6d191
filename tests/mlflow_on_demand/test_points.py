import io
import math
from array import array
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mlflow_on_demand.points import Last, Points, PointsHold, read_metric

LARGEST = 1.7976931348623157e308
Row = tuple[float, int, int, int]


def made(*rows: tuple[int, float, int]) -> Points:
    return Points(
        array("q", [timestamp for timestamp, _, _ in rows]),
        array("d", [value for _, value, _ in rows]),
        array("q", [step for _, _, step in rows]),
    )


def read(content: bytes) -> tuple[list[Row], int]:
    """All rows of a file, and how many lines are damaged."""
    blocks = list(read_metric(io.BytesIO(content)))
    return [row for points, _ in blocks for row in points.rows()], sum(damaged for _, damaged in blocks)


def test_metric_lines() -> None:
    plain, odd = b"1 0.5 3\n2 nan 4\n", b"3 inf 5\n4 -inf 6\n5 1e3\n6 7 8 extra\r\n"
    rows = [(0.5, 1, 3, 0), (0.0, 2, 4, 1)]
    assert read(plain) == (rows, 0)
    rows += [(LARGEST, 3, 5, 0), (-LARGEST, 4, 6, 0), (1000.0, 5, 0, 0), (7.0, 6, 8, 0)]
    assert read(plain + odd) == (rows, 0)


def test_a_damaged_line_costs_itself_only() -> None:
    lines = b"1 0.5 0\n\n2\nx y z\n3 0.5 1.5\n99999999999999999999 1 1\n4 0.25 2\n5 0.1"
    assert read(lines) == ([(0.5, 1, 0, 0), (0.25, 4, 2, 0)], 6)


def test_fields_of_two_lines_are_no_line() -> None:
    assert read(b"1 2 3 4\n5 6\n") == ([(2.0, 1, 3, 0), (6.0, 5, 0, 0)], 0)
    assert read(b"1 2 \n 3 4\n") == ([(2.0, 1, 0, 0), (4.0, 3, 0, 0)], 0)


def test_a_line_without_end_costs_itself_only_and_no_memory() -> None:
    assert read(b"1" * 1_000_000) == ([], 1)
    assert read(b"1 2 3\n" + b"1" * 1_000_000 + b"\n4 5 6\n") == ([(2.0, 1, 3, 0), (5.0, 4, 6, 0)], 1)


@given(st.lists(st.tuples(st.integers(0, 2**62), st.floats(allow_infinity=False), st.integers(0, 99))))
def test_what_mlflow_writes_is_read(lines: list[tuple[int, float, int]]) -> None:
    text = "".join(f"{timestamp} {value} {step}\n" for timestamp, value, step in lines)
    assert read(text.encode()) == (list(made(*lines).rows()), 0)


LINES = st.lists(
    st.sampled_from([b"1 0.5 3", b"2 nan 4", b"x", b"", b"3 inf 5", b"1 2", b" 1 2 3", b"1  2", b"1\t2 3 4"])
)


@given(LINES)
@example([b"1 2 3 4", b"5 6"])
def test_a_line_means_the_same_beside_any_others(lines: list[bytes]) -> None:
    alone = [read(line + b"\n") for line in lines]
    together = read(b"".join(line + b"\n" for line in lines))
    assert together == ([row for rows, _ in alone for row in rows], sum(damaged for _, damaged in alone))


@given(st.binary(max_size=300))
def test_any_bytes_are_points_or_damage(content: bytes) -> None:
    rows, damaged = read(content)
    assert all(math.isfinite(value) for value, *_ in rows)
    assert len(rows) + damaged == content.count(b"\n") + (not content.endswith(b"\n") and content != b"")


@pytest.mark.parametrize(
    ("rows", "last"),
    [
        ([(5, 0.1, 1), (4, 0.2, 2), (3, 0.3, 0)], Last(2, 4, 0.2, 0)),
        ([(5, 0.1, 1), (6, 0.0, 1)], Last(1, 6, 0.0, 0)),
        ([(5, 0.1, 1), (5, 0.2, 1), (5, -1.0, 1)], Last(1, 5, 0.2, 0)),
        # NaN counts as 0, and the first of equals counts.
        ([(5, -1.0, 1), (5, math.nan, 1), (5, 0.0, 1)], Last(1, 5, 0.0, 1)),
        ([(5, 0.0, 1), (5, math.nan, 1)], Last(1, 5, 0.0, 0)),
        ([(5, LARGEST, 1), (6, LARGEST, 0)], Last(1, 5, LARGEST, 0)),
    ],
)
def test_the_last_value_is_that_of_the_greatest_step(rows: list[tuple[int, float, int]], last: Last) -> None:
    assert made(*rows).last() == last


@pytest.mark.parametrize("count", [3, 300_000])
def test_points_are_held_in_memory_or_in_a_file(tmp_path: Path, count: int) -> None:
    hold = PointsHold(tmp_path)
    first, second = made(*((n, n / 2, -n) for n in range(count))), made((1, 2.0, 3))
    for _ in range(2):
        held = [hold.add(first), hold.add(second)]
        assert [hold.read(one) for one in reversed(held)] == [second, first]
        assert [hold.read(hold.add(made())), hold.read(hold.add(second))] == [made(), second]
        hold.clear()
    hold.close()
    assert list(tmp_path.iterdir()) == []
