"""How far each cohort takes the fleet, and how many of it may fail: a few canaries first, then ever larger cohorts.

Pure. A cohort is not a list but a mark: how many pages of the fleet, as it is now, are to be done when the cohort is.
So a page that is deleted or made while a rollout runs changes the numbers, and nothing has to be repaired.
"""

from collections.abc import Sequence
from math import ceil


def cohort_marks(fleet: int, shares: Sequence[str]) -> tuple[int, ...]:
    """How many pages are done after each cohort: numbers, or percent rounded up, never less than before; at the end of
    the last, all.
    """
    marks: list[int] = []
    for share in shares:
        wanted = ceil(fleet * int(share[:-1]) / 100) if share.endswith("%") else int(share)
        marks.append(max([min(wanted, fleet), *marks[-1:]]))
    return (*marks[:-1], fleet) if shares[-1] == "100%" else (*marks, fleet)


def allowed_failures(size: int, percent: int) -> int:
    """How many pages of a cohort may fail: one always may, as a page's data can be at fault, unless `percent` is 0."""
    return max(1, size * percent // 100) if percent else 0
