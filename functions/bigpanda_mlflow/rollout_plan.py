"""What is to be done next in a rollout: a pure decision over the record, the fleet as it stands, and the clock.

Promises: the plan of an unchanged fleet is the same, whoever makes it; a plan is either work on Services, or a change
of the record once no such work is left, or waiting. The order within a cohort is that of least activity.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from bigpanda_mlflow.cohorts import Activity, allowed_failures, cohort_marks, least_active
from bigpanda_mlflow.rollout_members import Member, Standing, is_of_cohort, standing_of, was_made_with_it
from bigpanda_mlflow.rollout_state import Rollout, RolloutPhase, ServicePhase, ServiceState, move
from bigpanda_mlflow.settings import Settings

CATCH_UP: Final = timedelta(minutes=2)
"""Longer than `visualize` may take: a page that was made with the old image just before the new one became stable is
there by then.
"""
RETRY: Final = timedelta(seconds=45)
"""Between two attempts at a candidate that could not be judged."""
MOST_AT_ONCE: Final = 500
"""Services in one plan. The fleet is looked at anew after each."""


@dataclass(frozen=True)
class Forward:
    """Take this Service on, as far as it goes now."""

    name: str


@dataclass(frozen=True)
class Back:
    """Give this Service's traffic back to its former Revision; `fails`: for a fault of its own."""

    name: str
    reason: str
    fails: bool = False


@dataclass(frozen=True)
class Plan:
    """What to do: `work` on Services, of which up to `failures_left` may fail before the plan is made anew; or, without
    work, the record's `next`; or, with neither, nothing before `until`.
    """

    work: tuple[Forward | Back, ...] = ()
    next: Rollout | None = None
    until: datetime | None = None
    failures_left: int = 0


@dataclass(frozen=True)
class View:
    """All that a plan depends on; `activities` are by Service."""

    rollout: Rollout
    fleet: Sequence[Member]
    activities: Mapping[str, Activity]
    settings: Settings
    now: datetime

    def to(self, phase: RolloutPhase, reason: str | None = None) -> Plan:
        """The plan to come to another phase."""
        return Plan(next=move(self.rollout, phase, self.now, reason))


def plan_step(view: View) -> Plan:
    """What to do about a rollout that is not paused."""
    decide = _BY_PHASE.get(view.rollout.phase)
    return Plan() if decide is None else decide(view)


def next_percent(state: ServiceState, *, is_busy: bool, steps: Sequence[int]) -> int:
    """The share of a verified candidate after its next step: all at once where nobody looks."""
    return next(step for step in steps if step > state.percent) if is_busy else 100


def due_at(state: ServiceState, rollout: Rollout, settings: Settings) -> datetime:
    """When a Service that was begun may take its next step."""
    if state.phase is ServicePhase.SHIFTING and not _is_hurried(rollout, state.since):
        return state.since + settings.rollout_step_soak
    return state.since + (RETRY if state.attempts else timedelta(0))


def _roll(view: View) -> Plan:
    rollout, standings = view.rollout, _sort(view)
    marks = cohort_marks(len(view.fleet), view.settings.rollout_cohorts)
    last = rollout.cohort >= len(marks) - 1
    waiting = standings[Standing.WAITING]
    missing = len(waiting) if last else max(0, marks[rollout.cohort] - len(view.fleet) + len(waiting))
    failures_left, halt = _judge(view, missing)
    if halt:
        return view.to(RolloutPhase.HALTING, halt)
    chosen = least_active([member.name for member in waiting], view.activities)[:missing]
    if plan := _work(view, standings[Standing.WORKING], chosen, failures_left):
        return plan
    if last:
        return view.to(RolloutPhase.COMPLETING)
    if any(is_of_cohort(member, rollout) for member in view.fleet):
        return view.to(RolloutPhase.SOAKING)
    return Plan(next=replace(move(rollout, RolloutPhase.ROLLING, view.now), cohort=rollout.cohort + 1))


def _soak(view: View) -> Plan:
    rollout = view.rollout
    failures_left, halt = _judge(view, 0)
    if halt:
        return view.to(RolloutPhase.HALTING, halt)
    if fallen := [back for member in view.fleet if (back := _fallen(member, view)) is not None]:
        return Plan(work=tuple(fallen), failures_left=failures_left)
    ends = rollout.since + view.settings.rollout_soak
    if ends > view.now and not _is_hurried(rollout, rollout.since):
        return Plan(until=ends)
    return Plan(next=replace(move(rollout, RolloutPhase.ROLLING, view.now), cohort=rollout.cohort + 1))


def _fallen(member: Member, view: View) -> Back | None:
    # Verified and promoted, and then Knative found its Revision at fault.
    if not is_of_cohort(member, view.rollout) or member.state is None:
        return None
    if member.state.phase in {ServicePhase.FAILING, ServicePhase.RETURNING}:
        return Back(member.name, member.state.reason or "")
    broken = dict(view.activities.get(member.name, Activity()).broken)
    if member.state.phase is not ServicePhase.PROMOTED or member.state.current not in broken:
        return None
    return Back(member.name, f"broke after it was promoted: {broken[member.state.current]}", fails=True)


def _complete(view: View) -> Plan:
    standings = _sort(view)
    late = least_active([member.name for member in standings[Standing.WAITING]], view.activities)
    if plan := _work(view, standings[Standing.WORKING], late, len(view.fleet)):
        return plan
    ends = view.rollout.since + CATCH_UP
    return Plan(until=ends) if ends > view.now else view.to(RolloutPhase.COMPLETED)


def _halt(view: View) -> Plan:
    work = [
        Back(member.name, f"its cohort was halted: {view.rollout.reason}")
        for member in view.fleet
        if is_of_cohort(member, view.rollout) and _has_something_to_lose(member, view.rollout, promoted=True)
    ]
    return _work_or(work, view.to(RolloutPhase.HALTED, view.rollout.reason))


def _roll_back(view: View) -> Plan:
    rollout, reason = view.rollout, "the rollout was rolled back"
    work = [
        Back(member.name, reason) for member in view.fleet if _has_something_to_lose(member, rollout, promoted=True)
    ]
    # Last, for each is ingested first, and whoever can go back at once waits for nobody.
    anew = [Back(member.name, reason) for member in view.fleet if was_made_with_it(member.image, member.state, rollout)]
    return _work_or([*work, *anew], view.to(RolloutPhase.ROLLED_BACK, rollout.reason))


def _abort(view: View) -> Plan:
    reason = "the rollout was aborted"
    work = [
        Back(member.name, reason)
        for member in view.fleet
        if _has_something_to_lose(member, view.rollout, promoted=False)
    ]
    return _work_or(work, view.to(RolloutPhase.ABORTED, view.rollout.reason))


def _has_something_to_lose(member: Member, rollout: Rollout, *, promoted: bool) -> bool:
    # What hangs half-way goes back, even if a rollout that was superseded began it.
    if member.state is None:
        return False
    mine = member.state.rollout == rollout.name
    return not member.state.phase.is_settled or (promoted and mine and member.state.phase is ServicePhase.PROMOTED)


def _work_or(work: Sequence[Back], then: Plan) -> Plan:
    return Plan(work=tuple(work[:MOST_AT_ONCE]), failures_left=len(work)) if work else then


def _work(view: View, begun: Sequence[Member], chosen: Sequence[str], failures_left: int) -> Plan | None:
    when = {
        member.name: due_at(member.state, view.rollout, view.settings) for member in begun if member.state is not None
    }
    due = [name for name, moment in when.items() if moment <= view.now]
    if due or chosen:
        return Plan(work=tuple(Forward(name) for name in (*due, *chosen)[:MOST_AT_ONCE]), failures_left=failures_left)
    return Plan(until=min(when.values())) if when else None


def _judge(view: View, missing: int) -> tuple[int, str | None]:
    """How many more of the cohort may fail, or why it has to be halted."""
    cohort = [member for member in view.fleet if is_of_cohort(member, view.rollout)]
    failed = [member for member in cohort if standing_of(member, view.rollout) is Standing.FAILED]
    left = allowed_failures(len(cohort) + missing, view.settings.rollout_failure_percent) - len(failed)
    standings = Counter(standing_of(member, view.rollout) for member in view.fleet)
    hopeless = failed and not missing and not standings[Standing.DONE] and not standings[Standing.WORKING]
    if left >= 0 and not hopeless:
        return left, None
    first = failed[0]
    why = first.state.reason if first.state else None
    return left, f"{len(failed)} of {len(cohort)} pages of the cohort failed, such as {first.name}: {why}"


def _sort(view: View) -> dict[Standing, list[Member]]:
    by: dict[Standing, list[Member]] = {standing: [] for standing in Standing}
    for member in view.fleet:
        by[standing_of(member, view.rollout)].append(member)
    return by


def _is_hurried(rollout: Rollout, since: datetime) -> bool:
    return rollout.hurried_at is not None and rollout.hurried_at >= since


_BY_PHASE: Final[Mapping[RolloutPhase, Callable[[View], Plan]]] = {
    RolloutPhase.ROLLING: _roll,
    RolloutPhase.SOAKING: _soak,
    RolloutPhase.COMPLETING: _complete,
    RolloutPhase.HALTING: _halt,
    RolloutPhase.ROLLING_BACK: _roll_back,
    RolloutPhase.ABORTING: _abort,
}
"""PREPARING is about the functions, not about pages: its step is taken elsewhere."""
