"""The records of rollouts: what is written reads back, the newest counts, the old are let go."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigpanda_mlflow.events import EventKey, ImagePublished
from bigpanda_mlflow.rollout_state import (
    KEPT,
    Rollout,
    RolloutPhase,
    ServicePhase,
    ServiceState,
    make_rollout,
    move,
    newest_rollout,
    put_rollout,
    read_rollout,
    read_rollouts,
    read_state,
    stable_image,
    write_state,
)
from support.builders import NOW

IMAGE = "registry.example/bigpanda-mlflow/mlflow@sha256:"
TEXTS = st.text(max_size=30)
MOMENTS = st.datetimes().map(lambda moment: moment.replace(tzinfo=NOW.tzinfo))
KEYS = st.builds(EventKey, MOMENTS, TEXTS)
ROLLOUTS = st.builds(Rollout, published=KEYS, since=MOMENTS, command=st.none() | KEYS)
STATES = st.builds(ServiceState, since=MOMENTS)


def begun(number: int) -> Rollout:
    published = EventKey(NOW + timedelta(minutes=number), f"e{number}")
    return make_rollout(published, ImagePublished(image=f"{IMAGE}{number:064x}", version="3.18.0"), "stable", NOW)


@given(ROLLOUTS)
def test_a_record_reads_back_the_same(rollout: Rollout) -> None:
    assert read_rollout(put_rollout({}, rollout), rollout.name) == rollout


@given(STATES)
def test_a_state_reads_back_the_same(state: ServiceState) -> None:
    assert read_state(write_state(state)) == state


@pytest.mark.parametrize("edited", ["", "{}", "[]", "null", '{"rollout": "r", "phase": "dancing"}', "\ud800"])
def test_what_nobody_can_read_counts_as_absent(edited: str) -> None:
    assert read_state(edited) is None
    assert read_rollouts({"r": edited}) == []


def test_the_same_event_makes_the_same_rollout_and_a_later_one_a_later_name() -> None:
    assert begun(1) == begun(1)
    assert begun(1).name == "20261123t120100000-00000000"
    assert begun(1).name < begun(2).name < begun(100).name


def test_of_the_records_the_newest_are_kept() -> None:
    data: dict[str, str] = {"edited": "by hand"}
    for number in range(KEPT + 5):
        data = put_rollout(data, begun(number))
    assert read_rollouts(data) == [begun(number) for number in reversed(range(5, KEPT + 5))]
    assert newest_rollout(data) == begun(KEPT + 4)
    changed = move(begun(7), RolloutPhase.ABORTED, NOW, "because")
    assert read_rollout(put_rollout(data, changed), changed.name) == changed


@pytest.mark.parametrize("phase", RolloutPhase)
def test_new_tasks_get_the_new_image_when_the_fleet_has_it(phase: RolloutPhase) -> None:
    rollout = move(begun(1), phase, NOW)
    complete = phase in {RolloutPhase.COMPLETING, RolloutPhase.COMPLETED}
    assert stable_image(put_rollout({}, rollout), "settings") == (rollout.image if complete else "stable")
    assert stable_image({}, "settings") == "settings"


def test_people_see_cohorts_from_one_and_nothing_empty() -> None:
    assert begun(1).as_json() == {
        "name": begun(1).name,
        "image": f"{IMAGE}{1:064x}",
        "version": "3.18.0",
        "stable_image": "stable",
        "published": "2026-11-23T12:01:00Z",
        "phase": "preparing",
        "since": "2026-11-23T12:00:00Z",
        "cohort": 1,
        "round": 1,
        "paused": False,
        "services": 0,
        "promoted": 0,
        "failed": 0,
    }
    state = ServiceState("r", ServicePhase.PROMOTED, NOW, current="a", previous="b")
    assert replace(state, reason="x").as_json()["reason"] == "x"
    assert state.as_json().keys() == {
        *("rollout", "phase", "since", "cohort", "round", "current", "previous", "percent", "attempts"),
    }
