"""What is to be done next in a rollout: a pure decision over the record, the fleet as it stands, and the clock.

Promises: the plan of an unchanged fleet is the same, whoever makes it; a plan is either work on Services, or a change
of the record once no such work is left, or waiting. The order within a cohort is that of least activity.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from bigpanda_mlflow.cohorts import allowed_failures, cohort_marks
from bigpanda_mlflow.rollout_due import is_hurried
from bigpanda_mlflow.rollout_members import Standing
from bigpanda_mlflow.rollout_retreats import Back
from bigpanda_mlflow.rollout_state import Rollout, RolloutPhase, ServiceState, move
from bigpanda_mlflow.rollout_survey import MOST_AT_ONCE, Survey

CATCH_UP: Final = timedelta(minutes=2)
"""Longer than `visualize` may take: a page that was made with the old image just before the new one became stable is
there by then.
"""


@dataclass(frozen=True)
class Forward:
    """Take this Service on, as far as it goes now."""

    name: str


@dataclass(frozen=True)
class Plan:
    """What to do: `work` on Services, of which up to `failures_left` may fail before the plan is made anew; or, without
    work, the record's `next`; or, with neither, nothing before `until`.
    """

    work: tuple[Forward | Back, ...] = ()
    next: Rollout | None = None
    until: datetime | None = None
    failures_left: int = 0


def plan_step(survey: Survey) -> Plan:
    """What to do about a rollout that is not paused."""
    decide = _BY_PHASE.get(survey.rollout.phase)
    return Plan() if decide is None else decide(survey)


def next_percent(state: ServiceState, *, is_busy: bool, steps: Sequence[int]) -> int:
    """The share of a verified candidate after its next step: all at once where nobody looks."""
    return next(step for step in steps if step > state.percent) if is_busy else 100


def _roll(survey: Survey) -> Plan:
    rollout, fleet, waiting = survey.rollout, survey.standings.total(), survey.standings[Standing.WAITING]
    marks = cohort_marks(fleet, survey.settings.rollout_cohorts)
    last = rollout.cohort >= len(marks) - 1
    missing = waiting if last else max(0, marks[rollout.cohort] - fleet + waiting)
    failures_left, halt = _judge(survey, missing)
    if halt:
        return _come_to(RolloutPhase.HALTING, survey, halt)
    if plan := _take_on(survey, survey.waiting[:missing], failures_left):
        return plan
    if last:
        return _come_to(RolloutPhase.COMPLETING, survey)
    return _come_to(RolloutPhase.SOAKING, survey) if survey.cohort else _next_cohort(survey)


def _soak(survey: Survey) -> Plan:
    rollout = survey.rollout
    failures_left, halt = _judge(survey, 0)
    if halt:
        return _come_to(RolloutPhase.HALTING, survey, halt)
    if survey.back:
        return Plan(work=tuple(survey.back), failures_left=failures_left)
    ends = rollout.since + survey.settings.rollout_soak
    if ends > survey.now and not is_hurried(rollout, rollout.since):
        return Plan(until=ends)
    return _next_cohort(survey)


def _complete(survey: Survey) -> Plan:
    if plan := _take_on(survey, survey.waiting, survey.standings.total()):
        return plan
    ends = survey.rollout.since + CATCH_UP
    return Plan(until=ends) if ends > survey.now else _come_to(RolloutPhase.COMPLETED, survey)


def _retreat(survey: Survey) -> Plan:
    # Those that were made anew last, for each is ingested first, and whoever can go back at once waits for nobody.
    if work := (*survey.back, *survey.back_anew)[:MOST_AT_ONCE]:
        return Plan(work=work, failures_left=len(work))
    return _come_to(_RETREATED[survey.rollout.phase], survey, survey.rollout.reason)


def _take_on(survey: Survey, chosen: Sequence[str], failures_left: int) -> Plan | None:
    if work := (*survey.due, *chosen)[:MOST_AT_ONCE]:
        return Plan(work=tuple(Forward(name) for name in work), failures_left=failures_left)
    return None if survey.next_due is None else Plan(until=survey.next_due)


def _judge(survey: Survey, missing: int) -> tuple[int, str | None]:
    """How many more of the cohort may fail, or why it has to be halted; `missing` pages of it are not begun."""
    cohort, failed, standings = survey.cohort, survey.cohort_failed, survey.standings
    left = allowed_failures(cohort + missing, survey.settings.rollout_failure_percent) - failed
    hopeless = failed and not missing and not standings[Standing.DONE] and not standings[Standing.WORKING]
    if left >= 0 and not hopeless:
        return left, None
    return left, f"{failed} of {cohort} pages of the cohort failed, such as {survey.failure}"


def _come_to(phase: RolloutPhase, survey: Survey, reason: str | None = None) -> Plan:
    return Plan(next=move(survey.counted, phase, survey.now, reason))


def _next_cohort(survey: Survey) -> Plan:
    rollout = survey.counted
    return Plan(next=replace(move(rollout, RolloutPhase.ROLLING, survey.now), cohort=rollout.cohort + 1))


_BY_PHASE: Final[Mapping[RolloutPhase, Callable[[Survey], Plan]]] = {
    RolloutPhase.ROLLING: _roll,
    RolloutPhase.SOAKING: _soak,
    RolloutPhase.COMPLETING: _complete,
    RolloutPhase.HALTING: _retreat,
    RolloutPhase.ROLLING_BACK: _retreat,
    RolloutPhase.ABORTING: _retreat,
}
"""PREPARING is about the functions, not about pages: its step is taken elsewhere."""
_RETREATED: Final[Mapping[RolloutPhase, RolloutPhase]] = {
    RolloutPhase.HALTING: RolloutPhase.HALTED,
    RolloutPhase.ROLLING_BACK: RolloutPhase.ROLLED_BACK,
    RolloutPhase.ABORTING: RolloutPhase.ABORTED,
}
