import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigpanda_mlflow.events import EventKey
from bigpanda_mlflow.tombstones import Tombstone, bury, mark_announced, prune, read_tombstone, unannounced

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 (bounds)
KEYS = st.builds(EventKey, MOMENTS, st.text(min_size=1, max_size=20))
TOMBSTONES = st.builds(Tombstone, KEYS, MOMENTS, st.sampled_from(["expired", "released"]), st.booleans())


@given(TOMBSTONES, st.integers(1, 2**63 - 1))
def test_what_is_buried_is_found_again(stone: Tombstone, task: int) -> None:
    assert read_tombstone(bury({}, task, stone), task) == stone


@given(st.lists(TOMBSTONES, min_size=1, max_size=6))
def test_the_one_that_covers_most_stands_in_any_order(stones: list[Tombstone]) -> None:
    data: dict[str, str] = {}
    for stone in stones:
        data = bury(data, 7, stone)
    standing = read_tombstone(data, 7)
    assert standing is not None
    assert standing.last == max(stone.last for stone in stones)


@given(st.dictionaries(st.integers(1, 9), TOMBSTONES), MOMENTS)
def test_pruning_forgets_only_what_was_announced_long_ago(stones: dict[int, Tombstone], now: datetime) -> None:
    data: dict[str, str] = {}
    for task, stone in stones.items():
        data = bury(data, task, stone)
    kept = prune(data, now, timedelta(days=14))
    for task, stone in stones.items():
        gone = stone.announced and stone.ended_at + timedelta(days=14) < now
        assert (str(task) not in kept) == gone


def test_an_announcement_marks_only_the_end_it_announced() -> None:
    first = Tombstone(EventKey(NOW, "a"), NOW, "expired")
    newer = Tombstone(EventKey(NOW + timedelta(hours=1), "b"), NOW + timedelta(hours=2), "released")
    data = bury(bury({}, 1, first), 2, first)
    announced = unannounced(data)
    assert announced == {1: first, 2: first}
    data = mark_announced(bury(data, 2, newer), announced)
    assert unannounced(data) == {2: newer}


@pytest.mark.parametrize(
    "value", ["", "{}", "null", "[]", '{"time":"yesterday","id":"a","ended":"x","reason":"expired"}', "\x00"]
)
def test_what_somebody_edited_counts_as_none_and_is_pruned(value: str) -> None:
    assert read_tombstone({"5": value}, 5) is None
    assert prune({"5": value, "notes": "hello"}, NOW, timedelta(days=1)) == {}


def test_a_value_is_small() -> None:
    stone = Tombstone(EventKey(NOW, "0f8b7c1e-7a56-4a5e-9d53-3b1a0a5f8a11"), NOW, "released")
    [value] = bury({}, 30456789, stone).values()
    assert json.loads(value)["reason"] == "released"
    assert len(value) < 160
