"""The names of PanDA's metrics tarballs: `[<segment>.]<jeditaskid>.metrics.<serial>.tgz`.

With `phpo`, every evaluated point leaves one such file; segmented HPO puts the segment's name in front. Pure: no file
is touched here. What belongs to another task is not ours.
"""

from collections.abc import Iterable
from dataclasses import dataclass

# Gaps are worth naming while a person can read them.
MAX_MISSING = 1000


@dataclass(frozen=True, order=True, slots=True)
class TarballName:
    """One tarball's name taken apart; its order is the order in which tarballs are ingested."""

    segment: str
    serial: int
    name: str

    @property
    def is_segmented(self) -> bool:
        """Whether the task is split into segments, each with its own model."""
        return bool(self.segment)


def parse_tarball_name(name: str, jeditaskid: int) -> TarballName | None:
    """The parts of a file name (no directories), or None when it is no metrics tarball of this task."""
    stem, dot, serial = name.removesuffix(".tgz").rpartition(".")
    if not name.endswith(".tgz") or not dot or not (serial.isascii() and serial.isdigit()):
        return None
    ours = f"{jeditaskid}.metrics"
    if stem == ours:
        return TarballName("", int(serial), name)
    segment = stem.removesuffix(f".{ours}")
    if segment == stem or not segment or "/" in segment:
        return None
    return TarballName(segment, int(serial), name)


def missing_serials(serials: Iterable[int]) -> tuple[int, ...]:
    """The gaps below the highest serial, counted from 1: points whose job left no output (at most MAX_MISSING).

    The output of a point is optional in PanDA, so a gap is worth telling and no error. What is missing behind the
    highest serial cannot be told from names.
    """
    present = {serial for serial in serials if serial > 0}
    if not present or max(present) > 100 * (len(present) + MAX_MISSING):
        return ()  # not numbered from 1 on: gaps would mean nothing
    gaps = (serial for serial in range(1, max(present)) if serial not in present)
    return tuple(serial for serial, _ in zip(gaps, range(MAX_MISSING), strict=False))
