"""Repeated measurements and how they are told: minimum, median, maximum, and the ratio of medians to another."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from support.documentation import README
from support.laptop import descendants, until

_IDLE = 0.03


@dataclass(frozen=True)
class Figure:
    """One measured thing, its samples, and those of what it is compared with (empty: nothing compares)."""

    what: str
    unit: str
    ours: list[float]
    alternative: str = ""
    theirs: tuple[float, ...] = ()

    def row(self) -> str:
        """A row of the table in README."""
        ratio = f"{statistics.median(self.ours) / statistics.median(self.theirs):.2f}" if self.theirs else ""
        theirs = f"{spread(self.theirs)} {self.unit} ({self.alternative})" if self.theirs else ""
        return f"| {self.what} | {spread(self.ours)} {self.unit} | {theirs} | {ratio} |"


HEAD = "| what | ours: min / **median** / max | the alternative | ours ÷ theirs |\n|---|---|---|---|"


def spread(samples: list[float] | tuple[float, ...]) -> str:
    """min / **median** / max, or the one value."""
    middle = f"**{_show(statistics.median(samples))}**"
    return middle if len(samples) == 1 else f"{_show(min(samples))} / {middle} / {_show(max(samples))}"


def _show(value: float) -> str:
    return f"{value:,.3g}" if value < 100 else f"{value:,.0f}"


def write_table(mark: str, rows: Sequence[str]) -> None:
    """Puts the table between README's comments `mark` and `/mark`, in place of the one of the last run."""
    text = README.read_text()
    before, opening, rest = text.partition(f"<!-- {mark} -->\n")
    closing = f"<!-- /{mark} -->"
    assert opening, f"README has no place for the table {mark}"
    assert closing in rest, f"README does not say where the table {mark} ends"
    README.write_text("".join((before, opening, "\n".join((HEAD, *rows, closing)), rest.partition(closing)[2])))


def seconds(action: Callable[[], object]) -> float:
    """How long it takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def until_idle() -> None:
    """Waits until this machine does nothing else: what the end of one contender leaves to do is no work of the next."""
    until(lambda: _busy_share(0.5) < _IDLE, 120, "this machine does nothing else, as a benchmark needs")


def _busy_share(during: float) -> float:
    before = _read_jiffies()
    time.sleep(during)
    busy, all_of_it = (now - then for now, then in zip(_read_jiffies(), before, strict=True))
    return busy / all_of_it


def _read_jiffies() -> tuple[int, int]:
    """What all cores have done since the start of this machine, and all that they could have (`man 5 proc_stat`)."""
    user, nice, system, idle, waiting, *interrupts = map(int, Path("/proc/stat").read_text().split()[1:8])
    busy = user + nice + system + sum(interrupts)
    return busy, busy + idle + waiting


def megabytes(root: int) -> float:
    """Proportional set size of a process and all below it, in 10^6 bytes (Linux)."""
    total = 0
    for process in (root, *descendants(root)):
        try:
            rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
        except OSError:
            continue
        total += next((int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")), 0)
    return total * 1024 / 1e6
