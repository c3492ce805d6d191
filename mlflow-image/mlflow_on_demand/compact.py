"""Many records in a tenth of their memory. A task may have many thousands of tarballs, and an ingest holds what their
stores say of each from its beginning to its end, but asks for it a few times only, and for all of it in its order.
"""

import pickle
import zlib
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from operator import eq
from typing import TypeVar

Item = TypeVar("Item")

_AT_ONCE = 512


class Compact(Collection[Item]):
    """Items in the order in which they came, compressed but for the last few; equal to a tuple of the same."""

    def __init__(self, items: Iterable[Item]) -> None:
        left = iter(items)
        self._blocks: list[bytes] = []
        while len(some := tuple(islice(left, _AT_ONCE))) == _AT_ONCE:
            self._blocks.append(zlib.compress(pickle.dumps(some), 1))
        self._rest = some

    def __len__(self) -> int:
        return len(self._blocks) * _AT_ONCE + len(self._rest)

    def __iter__(self) -> Iterator[Item]:
        for block in self._blocks:
            yield from pickle.loads(zlib.decompress(block))  # noqa: S301 (our own)
        yield from self._rest

    def __contains__(self, item: object) -> bool:
        return any(one == item for one in self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Compact | tuple):
            return NotImplemented
        return len(self) == len(other) and all(map(eq, self, other))

    def __hash__(self) -> int:
        return hash(tuple(self))
