"""The fleet as one step of a rollout sees it. Pure.

Promises: each page is looked at once and forgotten. What stays are numbers, and of each kind of work the first pages of
it, as many as one plan takes; so a large fleet needs no more memory than a small one.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from heapq import nsmallest
from typing import Final, TypeVar

from bigpanda_mlflow.activities import Activities
from bigpanda_mlflow.rollout_due import due_at
from bigpanda_mlflow.rollout_members import Member, Standing, is_of_cohort, standing_of
from bigpanda_mlflow.rollout_retreats import Back, retreat_of
from bigpanda_mlflow.rollout_state import Rollout, ServiceState
from bigpanda_mlflow.settings import Settings

Noted = TypeVar("Noted")

MOST_AT_ONCE: Final = 500
"""Services in one plan. The fleet is looked at anew after each."""


@dataclass
class Survey:
    """All that a plan depends on: the rollout's record, the configuration, the clock, and of the fleet:

    `standings`, how many pages stand where; `cohort` and `cohort_failed`, how many of the present cohort and round were
    begun, and failed; `failure`, the first of these, in words; `waiting`, least active first, and `due`, pages that may
    be taken on; `next_due`, when the next page may that was begun and is not due yet; `back`, pages that shall go back,
    and `back_anew`, those that were made with the new image and have no Revision to go back to.
    """

    rollout: Rollout
    settings: Settings
    now: datetime
    standings: Counter[Standing] = field(default_factory=Counter)
    cohort: int = 0
    cohort_failed: int = 0
    failure: str = ""
    waiting: list[str] = field(default_factory=list)
    due: list[str] = field(default_factory=list)
    next_due: datetime | None = None
    back: list[Back] = field(default_factory=list)
    back_anew: list[Back] = field(default_factory=list)

    @property
    def counted(self) -> Rollout:
        """The record with the fleet's numbers."""
        done, failed = self.standings[Standing.DONE], self.standings[Standing.FAILED]
        return replace(self.rollout, services=self.standings.total(), promoted=done, failed=failed)


def survey_fleet(
    rollout: Rollout, members: Iterable[Member], activities: Activities, settings: Settings, now: datetime
) -> Survey:
    """Looks at each page once."""
    survey = Survey(rollout, settings, now)
    waiting = _look_at_each(members, survey, activities.broken)
    survey.waiting = nsmallest(MOST_AT_ONCE, waiting, key=activities.order)
    return survey


def _look_at_each(members: Iterable[Member], survey: Survey, broken: Mapping[str, str]) -> Iterator[str]:
    """Notes each page in the survey, but for the names of those that wait, which it yields."""
    rollout = survey.rollout
    for member in members:
        standing = standing_of(member, rollout)
        survey.standings[standing] += 1
        if is_of_cohort(member, rollout):
            _note_cohort(member, standing, survey)
        if standing is Standing.WORKING and member.state is not None:
            _note_begun(member.name, member.state, survey)
        if (back := retreat_of(member, rollout, broken)) is not None:
            _note_first(survey.back_anew if member.state is None else survey.back, back)
        if standing is Standing.WAITING:
            yield member.name


def _note_cohort(member: Member, standing: Standing, survey: Survey) -> None:
    survey.cohort += 1
    if standing is Standing.FAILED:
        survey.cohort_failed += 1
        if not survey.failure and member.state is not None:
            survey.failure = f"{member.name}: {member.state.reason}"


def _note_begun(name: str, state: ServiceState, survey: Survey) -> None:
    due = due_at(state, survey.rollout, survey.settings)
    if due <= survey.now:
        _note_first(survey.due, name)
    elif survey.next_due is None or due < survey.next_due:
        survey.next_due = due


def _note_first(noted: list[Noted], one: Noted) -> None:
    if len(noted) < MOST_AT_ONCE:
        noted.append(one)
