"""The recent changes of all objects, in order: what watches and controllers follow.

Promise: a watcher sees every change after the version it names, once and in order, or is told (Expired) that this is
no longer possible. History begins anew with each start.
"""

import asyncio
import collections
import dataclasses
from collections.abc import AsyncIterator

from knative_embedded.kinds import Kind
from knative_embedded.objects import Object

KEPT = 10_000


class Expired(Exception):
    """The wanted version is older than what is remembered."""

    def __init__(self, wanted: int, oldest: int) -> None:
        super().__init__(f"{wanted} is older than {oldest}")
        self.wanted, self.oldest = wanted, oldest


@dataclasses.dataclass(frozen=True)
class Change:
    """One write: `before` is None for a creation, `after` is None for a removal; `last` is the object as last seen."""

    version: int
    kind: Kind
    before: Object | None
    after: Object | None
    last: Object


class History:
    """A bounded log that can be followed."""

    def __init__(self, version: int) -> None:
        self.version = version
        self._oldest = version
        self._changes: collections.deque[Change] = collections.deque()
        self._arrived = asyncio.Event()

    def append(self, change: Change) -> None:
        """Add the newest change and wake everybody who follows."""
        self._changes.append(change)
        if len(self._changes) > KEPT:
            self._oldest = self._changes.popleft().version
        self.version = change.version
        arrived, self._arrived = self._arrived, asyncio.Event()
        arrived.set()

    def after(self, version: int) -> list[Change]:
        """The remembered changes after that version. Raises Expired."""
        if version < self._oldest:
            raise Expired(version, self._oldest)
        found: list[Change] = []
        for change in reversed(self._changes):
            if change.version <= version:
                break
            found.append(change)
        return found[::-1]

    async def follow(self, version: int) -> AsyncIterator[Change]:
        """All changes after that version, for ever. Raises Expired, also later when the reader is too slow."""
        while True:
            arrived = self._arrived
            for change in self.after(version):
                version = change.version
                yield change
            if version == self.version:
                await arrived.wait()
