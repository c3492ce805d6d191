"""Which of the tarballs that bring the same run (a retried job) counts: first a finished run, then the one with more
points, then the later end, then the later tarball. Kept in a scratch file, for a task may have many thousands of runs.
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mlflow_on_demand.tarballs import TarballName

_CACHE_KIB = 256


@dataclass(frozen=True, order=True, slots=True)
class Rank:
    """How good a run is; `end_time` in milliseconds since 1970, -1 when there is none."""

    is_finished: bool
    points: int
    end_time: int
    tarball: TarballName


class Ranks:
    """The rank of each run that counts so far."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{_CACHE_KIB}"):
            self._db.execute(f"PRAGMA {pragma}")
        # A serial may have any number of digits.
        self._db.execute(
            "CREATE TABLE ranks (run_uuid TEXT PRIMARY KEY, is_finished INTEGER, points INTEGER, end_time INTEGER,"
            " segment TEXT, serial TEXT, name TEXT) WITHOUT ROWID"
        )
        self._db.execute("BEGIN")

    def get(self, run_uuid: str) -> Rank | None:
        """The run's rank, or None when it is not there."""
        found = self._db.execute("SELECT * FROM ranks WHERE run_uuid = ?", (run_uuid,)).fetchone()
        if found is None:
            return None
        _, is_finished, points, end_time, segment, serial, name = found
        return Rank(bool(is_finished), points, end_time, TarballName(segment, int(serial), name))

    def __contains__(self, run_uuid: str) -> bool:
        return self.get(run_uuid) is not None

    def __setitem__(self, run_uuid: str, rank: Rank) -> None:
        """Add a run, or change its rank."""
        tarball = rank.tarball
        row = (
            run_uuid,
            rank.is_finished,
            rank.points,
            rank.end_time,
            tarball.segment,
            str(tarball.serial),
            tarball.name,
        )
        self._db.execute("REPLACE INTO ranks VALUES (?, ?, ?, ?, ?, ?, ?)", row)

    def __iter__(self) -> Iterator[str]:
        """The ids of the runs, sorted."""
        return (str(run_uuid) for (run_uuid,) in self._db.execute("SELECT run_uuid FROM ranks ORDER BY run_uuid"))

    def close(self) -> None:
        """Let go of the file, which its directory's owner removes."""
        self._db.close()
