"""The objects: read from memory, written through to SQLite.

Promises: a write returns after it is durable; reads see only what is durable; `resourceVersion` is one rising number
for all kinds, also across restarts; a write that changes nothing writes nothing. Objects handed out are shared and must
not be changed.
"""

import asyncio
import json
import sqlite3
import uuid
from collections.abc import Callable, Iterable

from knative_embedded.api import errors
from knative_embedded.kinds import BY_RESOURCE, Kind
from knative_embedded.objects import Clock, Object, meta, name_of, namespace_of
from knative_embedded.state.database import Database
from knative_embedded.state.history import Change, History
from knative_embedded.state.index import Index, Key, Term
from knative_embedded.state.metadata import make_created, same_but_version

Alter = Callable[[Object], Object]
_SAVE = "INSERT OR REPLACE INTO objects (resource, namespace, name, body) VALUES (?, ?, ?, ?)"
_COUNT = "INSERT OR REPLACE INTO counters (name, value) VALUES ('resourceVersion', ?)"


class Store:
    """All objects of the runtime."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._objects: dict[str, dict[Key, Object]] = {resource: {} for resource in BY_RESOURCE}
        self._index = Index()
        self._writing = asyncio.Lock()
        self.history = History(0)

    async def load(self) -> None:
        """Read everything that an earlier run left."""

        def read(connection: sqlite3.Connection) -> tuple[int, list[tuple[str, str, str, str]]]:
            row = connection.execute("SELECT value FROM counters WHERE name = 'resourceVersion'").fetchone()
            rows = connection.execute("SELECT resource, namespace, name, body FROM objects").fetchall()
            return (row[0] if row else 0), rows

        version, rows = await self._database.run(read)
        for resource, namespace, name, body in rows:
            if resource in self._objects:
                thing = json.loads(body)
                self._objects[resource][namespace, name] = thing
                self._index.follow(BY_RESOURCE[resource], None, thing)
        self.history = History(version)

    def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """One object, or None."""
        return self._objects[kind.resource].get((namespace, name))

    def list(self, kind: Kind, namespace: str = "", *terms: Term) -> list[Object]:
        """The objects of a kind that have all the terms, of one namespace or of all, by namespace and name."""
        found = self._objects[kind.resource]
        keys = self._index.find(kind, terms) if terms else found
        return [found[key] for key in sorted(keys) if not namespace or key[0] == namespace]

    def everything(self) -> Iterable[tuple[Kind, Object]]:
        """Every object with its kind, as of now."""
        return [(BY_RESOURCE[resource], thing) for resource, found in self._objects.items() for thing in found.values()]

    async def create(self, kind: Kind, wanted: Object) -> Object:
        """Store a new object. Raises ApiError (already exists)."""
        async with self._writing:
            if self.get(kind, namespace_of(wanted), name_of(wanted)) is not None:
                raise errors.already_exists(kind, name_of(wanted))
            return await self._write(kind, None, make_created(kind, wanted, str(uuid.uuid4()), self._clock()))

    async def update(self, kind: Kind, namespace: str, name: str, alter: Alter) -> Object:
        """Replace an object by `alter` of it. Raises ApiError (not found), and what `alter` raises."""
        async with self._writing:
            old = self.get(kind, namespace, name)
            if old is None:
                raise errors.not_found(kind, name)
            new = alter(old)
            return old if same_but_version(old, new) else await self._write(kind, old, new)

    async def remove(self, kind: Kind, namespace: str, name: str, uid: str = "") -> Object | None:
        """Take an object away; with `uid`, only that very object. None when it was not there."""
        async with self._writing:
            old = self.get(kind, namespace, name)
            if old is None or (uid and meta(old).get("uid") != uid):
                return None
            await self._write(kind, old, None)
            return old

    async def _write(self, kind: Kind, old: Object | None, new: Object | None) -> Object:
        version = self.history.version + 1
        last = new if new is not None else old
        assert last is not None
        last = last | {"metadata": meta(last) | {"resourceVersion": str(version)}}
        key = namespace_of(last), name_of(last)

        def save(connection: sqlite3.Connection) -> None:
            connection.execute(_COUNT, (version,))
            if new is None:
                connection.execute(
                    "DELETE FROM objects WHERE resource = ? AND namespace = ? AND name = ?", (kind.resource, *key)
                )
            elif not kind.read_only:
                connection.execute(_SAVE, (kind.resource, *key, json.dumps(last)))

        await self._database.run(save)
        if new is None:
            del self._objects[kind.resource][key]
        else:
            self._objects[kind.resource][key] = last
        self._index.follow(kind, old, None if new is None else last)
        self.history.append(Change(version, kind, old, None if new is None else last, last))
        return last
