"""The points of a run's metrics: read from the lines that MLflow's FileStore keeps, and held until their run is added.

In columns and never one by one, for nothing in a tarball is as many as they are. Values equal what `mlflow
migrate-filestore` (MLflow 3.17) makes of the same bytes; where it gives up, a damaged line costs only itself here.
"""

import io
import tempfile
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import count, repeat
from math import isfinite, isinf, isnan
from pathlib import Path
from typing import BinaryIO, NamedTuple

_MAX_LINE = 4096
_BLOCK = 64 * 1024
# SQLite and JSON know no infinity: MLflow stores the largest double instead.
_MAX_FLOAT = 1.7976931348623157e308
# What a tarball's points take in memory, 24 bytes each, before they lie in a file.
_HELD_BYTES = 4 * 2**20


class Last(NamedTuple):
    """A metric's last value, as MLflow's table `latest_metrics` has it."""

    step: int
    timestamp: int
    value: float
    is_nan: int


@dataclass(frozen=True, slots=True)
class Points:
    """Points of one metric, column by column, in the order of their lines: timestamps in milliseconds since 1970; a
    value is NaN, but never infinite.
    """

    timestamps: "array[int]"
    values: "array[float]"
    steps: "array[int]"

    def __len__(self) -> int:
        return len(self.steps)

    def rows(self) -> Iterator[tuple[float, int, int, int]]:
        """As MLflow's table `metrics` has them: value (0 where it is NaN), timestamp, step, is_nan."""
        values, are_nan = self._told()
        return zip(values, self.timestamps, self.steps, are_nan, strict=False)

    def last(self) -> Last:
        """That of the greatest step, timestamp and value, the first of equals: the rule of MLflow's own stores."""
        step = max(self.steps)
        at = self.steps.index(step)
        if self.steps.count(step) > 1:
            values, _ = self._told()
            at = -max(zip(self.steps, self.timestamps, values, count(0, -1), strict=False))[3]
        value, is_nan = self.values[at], isnan(self.values[at])
        return Last(step, self.timestamps[at], 0.0 if is_nan else value, int(is_nan))

    def _told(self) -> tuple[Iterable[float], Iterable[int]]:
        """Values and is_nan, as MLflow stores them."""
        if not isnan(sum(self.values)):
            return self.values, repeat(0)
        return [0.0 if isnan(value) else value for value in self.values], [int(isnan(value)) for value in self.values]


def read_metric(content: BinaryIO) -> Iterator[tuple[Points, int]]:
    """The points of one metric's file, block by block, each with the number of damaged lines in it.

    A line is `timestamp value [step …]`. MLflow ends every line with a line feed, so a last line without one was cut
    while it was written: its number may lack digits, and it counts as damaged.
    """
    cut, is_too_long = b"", False
    while block := content.read(_BLOCK):
        lines, feed, rest = block.rpartition(b"\n")
        if feed:
            lines = cut + lines + feed
            if is_too_long:
                lines = lines[lines.index(feed) + 1 :]
            yield _read_lines(lines, int(is_too_long))
            cut, is_too_long = rest, False
        else:
            cut += block
        if len(cut) > _MAX_LINE:
            cut, is_too_long = b"", True
    if cut or is_too_long:
        yield _read_lines(b"", 1)


def _read_lines(lines: bytes, damaged: int) -> tuple[Points, int]:
    points = _read_plain(lines)
    if points is None:
        read = [_read_odd(line) for line in lines.split(b"\n")[:-1]]
        good = [one for one in read if one is not None]
        damaged += len(read) - len(good)
        points = Points(
            array("q", (timestamp for timestamp, _, _ in good)),
            array("d", (value for _, value, _ in good)),
            array("q", (step for _, _, step in good)),
        )
    return points, damaged


def _read_plain(lines: bytes) -> Points | None:
    """Lines that are all three numbers with one blank between, as MLflow writes them, without a loop over them."""
    fields = lines.replace(b"\n", b" \n ").split(b" ")[:-1]
    # As many fields that are a line feed as there are lines, and one behind every three others.
    ends = fields[3::4]
    if len(fields) != 4 * lines.count(b"\n") or ends.count(b"\n") != len(ends):
        return None
    try:
        values = array("d", map(float, fields[1::4]))
        if not isfinite(sum(values)) and any(map(isinf, values)):
            return None
        return Points(_whole_numbers(b" ".join(fields[0::4])), values, _whole_numbers(b" ".join(fields[2::4])))
    except (ValueError, OverflowError):
        return None


@lru_cache(8)
def _whole_numbers(column: bytes) -> "array[int]":
    """Kept for a while: metrics that were logged together have the same timestamps, and many have the same steps.
    Nobody changes an array of points.
    """
    return array("q", map(int, column.split(b" ")))


def _read_odd(line: bytes) -> tuple[int, float, int] | None:
    """What may not be three plain numbers, in the steps that MLflow's migration takes; None when it is damaged."""
    fields = line.decode("utf-8", errors="replace").strip().split(" ")
    if len(fields) < 2:
        return None
    try:
        # An array takes the integers that SQLite takes.
        timestamp, step = array("q", (int(fields[0]), int(fields[2]) if len(fields) > 2 else 0))
        value = float(fields[1])
    except (ValueError, OverflowError):
        return None
    return timestamp, value if isnan(value) else max(-_MAX_FLOAT, min(_MAX_FLOAT, value)), step


@dataclass(frozen=True, slots=True)
class HeldPoints:
    """Points that a PointsHold has: where, and how many."""

    offset: int
    size: int


class PointsHold:
    """Holds the points of one tarball: in memory, or in a file of `directory` when they are too many for that."""

    def __init__(self, directory: Path) -> None:
        self._file = tempfile.SpooledTemporaryFile(_HELD_BYTES, dir=str(directory))  # noqa: SIM115 (closed by `close`)

    def add(self, points: Points) -> HeldPoints:
        """Keep points until the next `clear`."""
        held = HeldPoints(self._file.seek(0, io.SEEK_END), len(points))
        for column in (points.timestamps, points.values, points.steps):
            self._file.write(column.tobytes())
        return held

    def read(self, held: HeldPoints) -> Points:
        """The same points again."""
        points = Points(array("q"), array("d"), array("q"))
        self._file.seek(held.offset)
        for column in (points.timestamps, points.values, points.steps):
            column.frombytes(self._file.read(held.size * column.itemsize))
        return points

    def clear(self) -> None:
        """Forget all of them: their runs were added, or their tarball is lost."""
        self._file.seek(0)
        self._file.truncate()

    def close(self) -> None:
        """Forget them, and let go of the file."""
        self._file.close()
