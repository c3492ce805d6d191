"""Which pages of the fleet are upgraded when: a few canaries first, chosen by least activity, then ever larger cohorts.

Pure. A cohort is not a list but a mark: how many pages of the fleet, as it is now, are to be done when the cohort is.
So a page that is deleted or made while a rollout runs changes the numbers, and nothing has to be repaired.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from typing import Final

_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Activity:
    """How busy a page is: its pods, and since when it has (or has not) any; `broken` are its Revisions that Knative
    finds at fault, and why.
    """

    replicas: int = 0
    since: datetime = _LONG_AGO
    broken: tuple[tuple[str, str], ...] = ()


def cohort_marks(fleet: int, shares: Sequence[str]) -> tuple[int, ...]:
    """How many pages are done after each cohort: numbers, or percent rounded up, never less than before; at the end of
    the last, all.
    """
    marks: list[int] = []
    for share in shares:
        wanted = ceil(fleet * int(share[:-1]) / 100) if share.endswith("%") else int(share)
        marks.append(max([min(wanted, fleet), *marks[-1:]]))
    return (*marks[:-1], fleet) if shares[-1] == "100%" else (*marks, fleet)


def least_active(names: Iterable[str], activities: Mapping[str, Activity]) -> list[str]:
    """Those that have slept longest first, those that are awake last; equals by name, so that any replica chooses the
    same.
    """

    def activity(name: str) -> tuple[int, datetime, str]:
        found = activities.get(name, Activity())
        return found.replicas, found.since, name

    return sorted(names, key=activity)


def allowed_failures(size: int, percent: int) -> int:
    """How many pages of a cohort may fail: one always may, as a page's data can be at fault, unless `percent` is 0."""
    return max(1, size * percent // 100) if percent else 0
