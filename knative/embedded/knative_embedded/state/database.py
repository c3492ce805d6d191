"""One SQLite file, one thread that touches it, one transaction per call.

Promises: what `run` returned survives a power cut (WAL with synchronous=FULL); a call that raised left no trace; the
event loop never waits for the disk.
"""

import asyncio
import concurrent.futures
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")

SCHEMA = """
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS objects (
    resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (resource, namespace, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tombstones (
    namespace TEXT NOT NULL, name TEXT NOT NULL, ended TEXT NOT NULL, PRIMARY KEY (namespace, name)
);
CREATE TABLE IF NOT EXISTS pods (
    pid INTEGER NOT NULL, started TEXT NOT NULL, home TEXT NOT NULL, PRIMARY KEY (pid, started)
);
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY AUTOINCREMENT, namespace TEXT NOT NULL, broker TEXT NOT NULL,
    attributes TEXT NOT NULL, data BLOB, ttl INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT, event INTEGER NOT NULL REFERENCES events (id),
    namespace TEXT NOT NULL, trigger_name TEXT NOT NULL, trigger_uid TEXT NOT NULL,
    phase TEXT NOT NULL, attempts INTEGER NOT NULL, due REAL NOT NULL, failure TEXT
);
CREATE INDEX IF NOT EXISTS deliveries_by_trigger ON deliveries (trigger_uid, due);
CREATE INDEX IF NOT EXISTS deliveries_by_event ON deliveries (event);
CREATE TABLE IF NOT EXISTS dead_letters (
    id INTEGER PRIMARY KEY AUTOINCREMENT, namespace TEXT NOT NULL, broker TEXT NOT NULL, trigger_name TEXT NOT NULL,
    attributes TEXT NOT NULL, data BLOB, ended TEXT NOT NULL, sink TEXT NOT NULL, outcome TEXT NOT NULL
);
"""


class Database:
    """The runtime's only door to SQLite."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = concurrent.futures.ThreadPoolExecutor(max_workers=1, thread_name_prefix="sqlite")
        self._connection: sqlite3.Connection | None = None

    async def open(self) -> None:
        """Open the file and bring its schema up."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._open)

    def _open(self) -> None:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.executescript(SCHEMA)
        self._connection = connection

    async def run(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Run `work` in one transaction. It runs to its end even when the caller is cancelled."""
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._thread, self._transact, work))

    def _transact(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        connection = self._connection
        if connection is None:
            raise sqlite3.ProgrammingError("the database is closed")
        connection.execute("BEGIN IMMEDIATE")
        try:
            result = work(connection)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return result

    async def close(self) -> None:
        """Close the file after all work handed in before."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
