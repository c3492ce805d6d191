"""Plans: over any fleet, with any failures, a rollout comes to its end and keeps its promises on the way."""

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigpanda_mlflow.activities import Activities
from bigpanda_mlflow.cohorts import cohort_marks
from bigpanda_mlflow.events import EventKey
from bigpanda_mlflow.labels import REVISION_OF
from bigpanda_mlflow.rollout_due import RETRY, due_at
from bigpanda_mlflow.rollout_members import Member, Standing, standing_of
from bigpanda_mlflow.rollout_plan import Forward, Plan, next_percent, plan_step
from bigpanda_mlflow.rollout_retreats import Back
from bigpanda_mlflow.rollout_state import Rollout, RolloutPhase, ServicePhase, ServiceState, move
from bigpanda_mlflow.rollout_survey import MOST_AT_ONCE, Survey, survey_fleet
from bigpanda_mlflow.times import format_time
from bigpanda_mlflow.traffic import Resource
from support.builders import NOW, SETTINGS

ROLLOUT = Rollout("r", "new", "2", "old", EventKey(NOW, "e"), RolloutPhase.ROLLING, NOW)


def survey(rollout: Rollout, fleet: Iterable[Member], *revisions: Resource, now: datetime | None = None) -> Survey:
    return survey_fleet(rollout, iter(fleet), Activities(revisions, "new"), SETTINGS, now or rollout.since)


def plan_for(rollout: Rollout, fleet: Iterable[Member], *revisions: Resource, now: datetime | None = None) -> Plan:
    return plan_step(survey(rollout, fleet, *revisions, now=now))


def revision(name: str, task: str, *, pods: int = 0, slept: datetime | None = None, fault: str = "") -> Resource:
    """A Revision of the new image, as Knative tells of it."""
    active = {"type": "Active", "status": "True" if pods else "False"}
    if slept:
        active["lastTransitionTime"] = format_time(slept)
    ready = {"type": "Ready", "status": "False" if fault else "True", "message": fault}
    return {
        "metadata": {"name": name, "labels": {REVISION_OF: task}},
        "spec": {"containers": [{"image": "new"}]},
        "status": {"actualReplicas": pods, "conditions": [active, ready]},
    }


def old(*names: str) -> dict[str, Member]:
    return {name: Member(name, "old", None) for name in names}


def at(name: str, phase: ServicePhase, **more: object) -> dict[str, Member]:
    state = replace(ServiceState("r", phase, NOW, current="current"), **more)  # type: ignore[arg-type]
    return {name: Member(name, "new", state)}


def carry_out(plan: Plan, rollout: Rollout, fleet: dict[str, Member], bad: set[str]) -> None:
    """As the workers would, one after the other, until too many have failed."""
    failures = 0
    for item in plan.work:
        phase = ServicePhase.RETURNED
        if isinstance(item, Forward):
            phase = ServicePhase.FAILED if item.name in bad else ServicePhase.PROMOTED
        state = ServiceState("r", phase, rollout.since, cohort=rollout.cohort, round=rollout.round)
        image = rollout.image if phase is ServicePhase.PROMOTED else "old"
        fleet[item.name] = Member(item.name, image, state)
        failures += phase is ServicePhase.FAILED
        if failures > plan.failures_left:
            return


@given(st.integers(0, 60), st.floats(0, 1), st.randoms(use_true_random=False))
def test_a_rollout_ends_and_keeps_to_its_cohorts(size: int, share: float, luck: random.Random) -> None:
    fleet = old(*(f"task-{number}" for number in range(size)))
    bad = {name for name in fleet if luck.random() < share**3}
    rollout, now, marks = ROLLOUT, NOW, cohort_marks(size, SETTINGS.rollout_cohorts)
    for _ in range(100):
        plan = plan_for(rollout, luck.sample(list(fleet.values()), size), now=now)
        same = plan_for(rollout, fleet.values(), now=now)
        assert {item.name for item in plan.work} == {item.name for item in same.work}
        if plan.work:
            carry_out(plan, rollout, fleet, bad)
        else:
            now, rollout = plan.until or now, plan.next or rollout
        touched = [member for member in fleet.values() if member.state is not None]
        assert len(touched) <= marks[min(rollout.cohort, len(marks) - 1)]
        if rollout.phase in {RolloutPhase.COMPLETED, RolloutPhase.HALTED}:
            break
    standings = Counter(standing_of(member, rollout) for member in fleet.values())
    if rollout.phase is RolloutPhase.HALTED:
        cohort = [one.state for one in fleet.values() if one.state and one.state.cohort == rollout.cohort]
        assert not [state for state in cohort if state.phase is ServicePhase.PROMOTED]
        assert standings[Standing.FAILED] >= 1
    else:
        assert rollout.phase is RolloutPhase.COMPLETED
        assert standings[Standing.DONE] + standings[Standing.FAILED] == size
        assert not size or standings[Standing.DONE]


def test_canaries_are_the_least_active() -> None:
    fleet = old("task-1", "task-2", "task-3", "task-4", "task-5", "task-6")
    revisions = [
        revision("1", "task-1", pods=1, slept=NOW - timedelta(days=9)),
        revision("2", "task-2", slept=NOW),
        revision("3", "task-3", slept=NOW - timedelta(days=2)),
        # Of two Revisions the one that was awake last counts, and the pods of both.
        revision("4", "task-4", slept=NOW - timedelta(days=3)),
        revision("4b", "task-4", slept=NOW - timedelta(hours=1)),
        revision("5", "task-5", slept=NOW - timedelta(days=2)),
        revision("6", "task-6"),
        {"metadata": {"name": "edited"}},
        revision("ingest", "ingest", pods=1),
    ]
    order = survey(ROLLOUT, reversed(fleet.values()), *revisions).waiting
    assert order == ["task-6", "task-3", "task-5", "task-4", "task-2", "task-1"]
    plan = plan_for(ROLLOUT, fleet.values(), *revisions)
    assert plan == Plan(work=(Forward("task-6"), Forward("task-3"), Forward("task-5")), failures_left=1)


def test_a_page_that_breaks_while_its_cohort_soaks_goes_back() -> None:
    fleet = {**at("task-1", ServicePhase.PROMOTED), **at("task-2", ServicePhase.PROMOTED, current="second")}
    soaking = move(ROLLOUT, RolloutPhase.SOAKING, NOW)
    of_before = revision("current", "task-1", fault="whatever")
    of_before["spec"]["containers"][0]["image"] = "old"
    plan = plan_for(soaking, fleet.values(), of_before, revision("second", "task-2", fault="it exits with 1"))
    assert plan.work == (Back("task-2", "broke after it was promoted: it exits with 1", fails=True),)
    assert plan_for(soaking, fleet.values()) == Plan(until=NOW + SETTINGS.rollout_soak)


def test_of_a_large_fleet_the_first_of_each_kind_are_kept() -> None:
    size = 3 * MOST_AT_ONCE
    fleet = old(*(f"task-{number}" for number in range(1, size + 1)))
    rolling = replace(ROLLOUT, cohort=3)
    found = survey(rolling, fleet.values())
    assert (len(found.waiting), found.standings[Standing.WAITING]) == (MOST_AT_ONCE, size)
    assert plan_for(rolling, fleet.values()).work == tuple(map(Forward, found.waiting))
    promoted = [member for name in fleet for member in at(name, ServicePhase.PROMOTED).values()]
    back = survey(move(ROLLOUT, RolloutPhase.ROLLING_BACK, NOW), promoted)
    assert ([one.name for one in back.back], back.counted.promoted) == (list(fleet)[:MOST_AT_ONCE], size)
    begun = [member for name in fleet for member in at(name, ServicePhase.CANDIDATE).values()]
    assert survey(rolling, begun).due == list(fleet)[:MOST_AT_ONCE]


def test_what_a_superseded_rollout_left_half_way_goes_back_as_well() -> None:
    fleet = at("task-1", ServicePhase.SHIFTING, rollout="before") | at(
        "task-2", ServicePhase.PROMOTED, rollout="before"
    )
    for phase in (RolloutPhase.ABORTING, RolloutPhase.ROLLING_BACK):
        (item,) = plan_for(move(ROLLOUT, phase, NOW), fleet.values()).work
        assert item.name == "task-1"


def test_a_rollback_takes_along_what_was_made_with_the_image_and_last() -> None:
    made = {"task-1": Member("task-1", "new", None)}
    fleet = made | old("task-2") | at("task-3", ServicePhase.PROMOTED)
    rollout = move(ROLLOUT, RolloutPhase.ROLLING_BACK, NOW)
    assert [item.name for item in plan_for(rollout, fleet.values()).work] == ["task-3", "task-1"]
    same = replace(rollout, stable_image="new")  # there is no other image to give it
    assert plan_for(same, made.values()).work == ()


def test_a_page_with_the_image_is_done_however_it_came_by_it() -> None:
    fleet = old("task-1") | {"task-2": Member("task-2", "new", None)}
    assert survey(ROLLOUT, fleet.values()).counted == replace(ROLLOUT, services=2, promoted=1)
    assert plan_for(ROLLOUT, fleet.values()).work == (Forward("task-1"),)


def test_a_paused_or_ended_rollout_has_no_plan() -> None:
    for phase in RolloutPhase:
        if not phase.is_moving:
            assert plan_for(move(ROLLOUT, phase, NOW), old("task-1").values()) == Plan()


@pytest.mark.parametrize(
    ("percent", "is_busy", "after"), [(0, False, 100), (0, True, 10), (10, True, 50), (50, True, 100), (10, False, 100)]
)
def test_steps(percent: int, is_busy: bool, after: int) -> None:
    state = ServiceState("r", ServicePhase.SHIFTING, NOW, percent=percent)
    assert next_percent(state, is_busy=is_busy, steps=SETTINGS.rollout_steps) == after


def test_when_a_page_is_due() -> None:
    candidate = ServiceState("r", ServicePhase.CANDIDATE, NOW)
    shifting = replace(candidate, phase=ServicePhase.SHIFTING)
    assert due_at(candidate, ROLLOUT, SETTINGS) == NOW
    assert due_at(replace(candidate, attempts=1), ROLLOUT, SETTINGS) == NOW + RETRY
    assert due_at(shifting, ROLLOUT, SETTINGS) == NOW + SETTINGS.rollout_step_soak
    assert due_at(shifting, replace(ROLLOUT, hurried_at=NOW), SETTINGS) == NOW
