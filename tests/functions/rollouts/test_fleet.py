"""The fleet goes over, cohort by cohort; a page at fault stays behind alone, many halt the rollout."""

from collections.abc import Callable

from bigpanda_mlflow.rollout_state import RolloutPhase
from bigpanda_mlflow.traffic import current_revision
from support.rollouts import World, complete, image
from support.sink import Sink


def test_a_fleet_goes_over_and_the_page_at_fault_stays(world: World, sink: Sink) -> None:
    tasks = range(1, 8)
    world.show(*tasks)
    world.break_pages({2: [3]})
    before = {task: current_revision(world.service(task)) for task in tasks}
    world.publish(2)
    record = world.go_on(complete)
    assert (record.services, record.promoted, record.failed) == (7, 6, 1)
    assert world.phases() == {task: "failed" if task == 3 else "promoted" for task in tasks}
    for task in tasks:
        state = world.states()[task]
        assert state is not None
        if task == 3:
            assert "was not ready in time (it answered 503)" in str(state.reason)
            assert world.revisions(task) == {before[task]}
        else:
            assert state.previous == before[task]
            assert world.revisions(task) == {before[task], state.current}
            assert ("2", task) in world.ingested()
        world.await_version(task, 1 if task == 3 else 2)
    phases = [line.split(":", 2)[1:] for line in sink.taken if "rollout.progressed" in line]
    assert phases[0] == ["preparing", "0:1"]
    assert phases[-1] == ["completed", "2:1"]


def test_new_tasks_get_the_stable_image_until_the_fleet_is_through(world: World) -> None:
    world.show(1, 2, 3)
    world.publish(2)
    world.step()
    assert world.record.phase is RolloutPhase.SOAKING
    world.show(4)
    assert image(1) in str(world.service(4)["spec"]["template"])
    world.go_on(lambda record: record.phase is RolloutPhase.COMPLETING)
    world.show(5)
    assert image(2) in str(world.service(5)["spec"]["template"])
    assert world.go_on(complete).promoted == 5
    assert world.phases() == {1: "promoted", 2: "promoted", 3: "promoted", 4: "promoted", 5: ""}
    assert [image(2) in str(world.service(name)) for name in ("ingest", "sweep")] == [True, True]


def test_a_page_that_is_awake_goes_over_step_by_step(make_world: Callable[..., World]) -> None:
    world = make_world(BIGPANDA_ROLLOUT_COHORTS="100%", BIGPANDA_IDLE_WINDOW="60m")
    world.show(1, 2)
    assert world.served(1) == "1"
    world.publish(2)
    world.step()
    assert world.phases() == {1: "shifting", 2: "promoted"}
    for percent in (10, 50):
        state = world.states()[1]
        assert state is not None
        assert state.percent == percent
        traffic = world.service(1)["spec"]["traffic"]
        assert [(one["tag"], one["percent"]) for one in traffic] == [("current", 100 - percent), ("candidate", percent)]
        world.step()  # too early
        assert world.states()[1] == state
        world.wait(6)
        world.step()
    assert world.phases() == {1: "promoted", 2: "promoted"}


def test_a_cohort_that_fails_is_halted_and_goes_back_and_may_try_again(world: World) -> None:
    world.show(*range(1, 9))
    world.publish(2)
    world.step()
    canaries = {task for task, phase in world.phases().items() if phase == "promoted"}
    assert len(canaries) == 2
    world.break_pages({2: [task for task in range(1, 9) if task not in canaries]})
    world.wait(20)
    world.step()
    record = world.record
    assert record.phase is RolloutPhase.HALTED
    assert record.reason is not None
    assert "pages of the cohort failed" in record.reason
    assert {task for task, phase in world.phases().items() if phase == "promoted"} == canaries
    assert all(len(world.revisions(task)) == (2 if task in canaries else 1) for task in range(1, 9))
    world.wait(600)
    world.step()
    assert world.record == record
    world.break_pages({})
    world.wait(1)
    world.command("resume")
    assert world.go_on(complete).promoted == 8


def test_a_fleet_of_one_page_that_fails_is_no_success(world: World) -> None:
    world.show(1)
    world.break_pages({2: [1]})
    world.publish(2)
    world.step()
    world.wait(20)
    world.step()
    assert world.record.phase is RolloutPhase.HALTED
    world.show(2)
    assert image(1) in str(world.service(2)["spec"]["template"])
