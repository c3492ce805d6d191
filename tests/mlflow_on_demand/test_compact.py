import tracemalloc
from collections.abc import Callable, Collection, Iterable

import pytest

from mlflow_on_demand.compact import Compact
from mlflow_on_demand.snapshot import Source


def make_source(number: int) -> Source:
    name = f"7.metrics.{number:06}.tgz"
    return Source(name, f"s3://panda/user.ünal/{name}", 5000 + number, f"{hash((number, 'etag')) % 2**128:032x}")


@pytest.mark.parametrize("count", [0, 1, 511, 512, 513, 1024, 3000])
def test_it_is_what_came_in_as_often_as_it_is_asked(count: int) -> None:
    items = tuple(make_source(number) for number in range(count))
    compact = Compact(iter(items))
    assert len(compact) == count
    assert [tuple(compact), tuple(compact)] == [items, items]
    assert all(one in compact for one in items[::100])
    assert make_source(count) not in compact


@pytest.mark.parametrize("count", [1, 512, 1300])
def test_it_equals_what_has_the_same_items_in_the_same_order(count: int) -> None:
    items = tuple(str(number) for number in range(count))
    compact = Compact(items)
    for same in (Compact(items), items):
        assert compact == same
        assert same == compact
        assert hash(compact) == hash(same)
    others: list[object] = [items[:-1], (*items, "more"), (*items[:-1], "other"), Compact(items[1:]), list(items), "0"]
    for other in others:
        assert compact != other
        assert other != compact


def test_what_it_holds_takes_a_fraction_of_the_memory() -> None:
    def held(make: Callable[[Iterable[Source]], Collection[Source]]) -> int:
        tracemalloc.start()
        try:
            items = make(map(make_source, range(10_000)))
            size, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert len(items) == 10_000
        return size

    assert held(Compact) * 4 < held(tuple)
