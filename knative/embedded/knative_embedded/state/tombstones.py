"""Which Services once stood at a host: so that an old link can say that its page has ended, not that it never was."""

import sqlite3

from knative_embedded.objects import Clock, name_of, namespace_of, timestamp
from knative_embedded.state.database import Database
from knative_embedded.state.history import Change

KEPT = 10_000
_SAVE = "INSERT OR REPLACE INTO tombstones (namespace, name, ended) VALUES (?, ?, ?)"
_BOUND = "DELETE FROM tombstones WHERE rowid NOT IN (SELECT rowid FROM tombstones ORDER BY rowid DESC LIMIT ?)"


class Tombstones:
    """The newest 10,000 Services that were deleted."""

    def __init__(self, database: Database, clock: Clock, kept: int = KEPT) -> None:
        self._database = database
        self._clock = clock
        self._kept = kept

    async def observe(self, change: Change) -> None:
        """Set a stone for a deleted Service."""
        if change.after is not None:
            return
        row = namespace_of(change.last), name_of(change.last), timestamp(self._clock())

        def save(connection: sqlite3.Connection) -> None:
            connection.execute(_SAVE, row)
            connection.execute(_BOUND, (self._kept,))

        await self._database.run(save)

    async def find(self, namespace: str, name: str) -> str | None:
        """When the Service of that name was deleted (RFC 3339); None when none is remembered."""

        def read(connection: sqlite3.Connection) -> str | None:
            query = "SELECT ended FROM tombstones WHERE namespace = ? AND name = ?"
            row = connection.execute(query, (namespace, name)).fetchone()
            return row[0] if row else None

        return await self._database.run(read)
