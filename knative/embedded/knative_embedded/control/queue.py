"""A queue of keys to reconcile: each key is there once, however often it is added."""

import asyncio
from typing import Generic, TypeVar

Item = TypeVar("Item")


class WorkQueue(Generic[Item]):
    """First in, first out, without duplicates."""

    def __init__(self) -> None:
        self._waiting: dict[Item, None] = {}
        self._arrived = asyncio.Event()

    def add(self, item: Item) -> None:
        """Put a key in, unless it waits already."""
        self._waiting.setdefault(item)
        self._arrived.set()

    async def get(self) -> Item:
        """The key that waits longest."""
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        item = next(iter(self._waiting))
        del self._waiting[item]
        return item
