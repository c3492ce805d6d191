"""Plans: over any fleet, with any failures, a rollout comes to its end and keeps its promises on the way."""

import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigpanda_mlflow.cohorts import Activity, cohort_marks
from bigpanda_mlflow.events import EventKey
from bigpanda_mlflow.rollout_members import Member, Standing, count_fleet, read_activities, standing_of
from bigpanda_mlflow.rollout_plan import RETRY, Back, Forward, Plan, View, due_at, next_percent, plan_step
from bigpanda_mlflow.rollout_state import Rollout, RolloutPhase, ServicePhase, ServiceState, move
from support.builders import NOW, SETTINGS

ROLLOUT = Rollout("r", "new", "2", "old", EventKey(NOW, "e"), RolloutPhase.ROLLING, NOW)


def view(rollout: Rollout, fleet: dict[str, Member], **activities: Activity) -> View:
    return View(rollout, list(fleet.values()), activities, SETTINGS, rollout.since)


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
        plan = plan_step(View(rollout, luck.sample(list(fleet.values()), size), {}, SETTINGS, now))
        same = plan_step(View(rollout, list(fleet.values()), {}, SETTINGS, now))
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
    fleet = old("task-1", "task-2", "task-3", "task-4", "task-5")
    awake = Activity(replicas=1)
    plan = plan_step(View(ROLLOUT, list(fleet.values()), {"task-1": awake, "task-4": awake}, SETTINGS, NOW))
    assert plan == Plan(work=(Forward("task-2"), Forward("task-3"), Forward("task-5")), failures_left=1)


def test_a_page_that_breaks_while_its_cohort_soaks_goes_back() -> None:
    fleet = at("task-1", ServicePhase.PROMOTED) | at("task-2", ServicePhase.PROMOTED)
    soaking = move(ROLLOUT, RolloutPhase.SOAKING, NOW)
    broken = Activity(broken=(("before", "whatever"), ("current", "it exits with 1")))
    plan = plan_step(View(soaking, list(fleet.values()), {"task-2": broken}, SETTINGS, NOW))
    assert plan.work == (Back("task-2", "broke after it was promoted: it exits with 1", fails=True),)
    assert plan_step(view(soaking, fleet)) == Plan(until=NOW + SETTINGS.rollout_soak)


def test_what_a_superseded_rollout_left_half_way_goes_back_as_well() -> None:
    fleet = at("task-1", ServicePhase.SHIFTING, rollout="before") | at(
        "task-2", ServicePhase.PROMOTED, rollout="before"
    )
    for phase in (RolloutPhase.ABORTING, RolloutPhase.ROLLING_BACK):
        (item,) = plan_step(view(move(ROLLOUT, phase, NOW), fleet)).work
        assert item.name == "task-1"


def test_a_rollback_takes_along_what_was_made_with_the_image_and_last() -> None:
    made = {"task-1": Member("task-1", "new", None)}
    fleet = made | old("task-2") | at("task-3", ServicePhase.PROMOTED)
    rollout = move(ROLLOUT, RolloutPhase.ROLLING_BACK, NOW)
    assert [item.name for item in plan_step(view(rollout, fleet)).work] == ["task-3", "task-1"]
    same = replace(rollout, stable_image="new")  # there is no other image to give it
    assert plan_step(view(same, made)).work == ()


def test_a_page_with_the_image_is_done_however_it_came_by_it() -> None:
    fleet = old("task-1") | {"task-2": Member("task-2", "new", None)}
    assert count_fleet(ROLLOUT, list(fleet.values())) == replace(ROLLOUT, services=2, promoted=1)
    assert plan_step(view(ROLLOUT, fleet)).work == (Forward("task-1"),)


def test_a_paused_or_ended_rollout_has_no_plan() -> None:
    for phase in RolloutPhase:
        if not phase.is_moving:
            assert plan_step(view(move(ROLLOUT, phase, NOW), old("task-1"))) == Plan()


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


def test_activity_is_read_from_revisions() -> None:
    def revision(name: str, replicas: int, ready: str) -> dict[str, object]:
        conditions = [
            {"type": "Active", "status": "False", "lastTransitionTime": "2026-11-23T12:00:00Z"},
            {"type": "Ready", "status": ready, "message": "because"},
        ]
        metadata = {"name": name, "labels": {"serving.knative.dev/service": "task-1"}}
        return {"metadata": metadata, "status": {"actualReplicas": replicas, "conditions": conditions}}

    found = read_activities([revision("a", 1, "True"), revision("b", 2, "False"), {"metadata": {"name": "edited"}}])
    assert found == {"task-1": Activity(3, NOW, (("b", "because"),)), "": Activity()}
