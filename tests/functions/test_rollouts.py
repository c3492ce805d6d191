"""Rollouts against a real API server: the fleet goes over, a page at fault stays, operators have their way."""

import itertools
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from bigpanda_mlflow import handlers
from bigpanda_mlflow.errors import Permanent
from bigpanda_mlflow.events import Event, EventKey, EventType, Release
from bigpanda_mlflow.rollout_state import Rollout, RolloutPhase
from bigpanda_mlflow.rollout_work import Verdict
from bigpanda_mlflow.traffic import current_revision
from embedded.kit import Cluster as Runtime
from support.builders import visualize_event
from support.rollouts import Dead, World, image, write_images
from support.sink import Sink

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    root = tmp_path_factory.mktemp("rollouts")
    with Runtime(root / "state", write_images(root)) as found:
        yield found


@pytest.fixture
def sink() -> Iterator[Sink]:
    found = Sink()
    yield found
    found.close()


@pytest.fixture
def make_world(runtime: Runtime, sink: Sink) -> Iterator[Callable[..., World]]:
    made: list[World] = []

    def make(**settings: str) -> World:
        made.append(World(runtime, f"fleet-{next(_numbers)}", sink.url, **settings))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    return make_world()


def complete(record: Rollout) -> bool:
    return record.phase is RolloutPhase.COMPLETED


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


def test_a_pause_holds_until_somebody_goes_on(world: World) -> None:
    world.show(1, 2, 3)
    world.publish(2)
    world.step()
    world.wait(1)
    world.command("pause")
    before = world.states()
    world.wait(60 * 24)
    world.step(world.another())  # another process, after a restart
    assert world.states() == before
    assert world.record.paused
    world.command("resume", rollout=world.record.name)
    assert world.go_on(complete).promoted == 3


def test_promote_waits_no_longer(world: World) -> None:
    world.show(*range(1, 6))
    world.publish(2)
    world.step()
    assert world.record.phase is RolloutPhase.SOAKING
    world.command("promote")
    world.wait(1)
    world.step()
    assert (world.record.cohort, world.record.phase) == (1, RolloutPhase.SOAKING)


@pytest.mark.parametrize("complete_first", [False, True])
def test_rollback_brings_every_page_back(world: World, complete_first: bool) -> None:
    world.show(1, 2, 3)
    before = {task: world.service(task)["spec"]["template"]["spec"] for task in (1, 2, 3)}
    world.publish(2)
    world.step()
    if complete_first:
        world.go_on(complete)
    world.wait(1)
    world.command("rollback")
    world.step()
    assert world.record.phase is RolloutPhase.ROLLED_BACK
    assert set(world.phases().values()) <= {"returned", ""}
    for task, spec in before.items():
        assert world.service(task)["spec"]["template"]["spec"] == spec
        assert len(world.revisions(task)) == 1
        world.await_version(task, 1)
    assert [image(1) in str(world.service(name)["spec"]) for name in ("ingest", "sweep")] == [True, True]
    world.show(4)
    assert image(1) in str(world.service(4)["spec"]["template"])
    world.wait(1)
    world.publish(2)  # a new attempt
    assert world.go_on(complete).promoted == 4


def test_abort_keeps_what_is_promoted_and_its_ingest(world: World) -> None:
    world.show(*range(1, 5))
    world.publish(2)
    world.step()
    promoted = {task for task, phase in world.phases().items() if phase == "promoted"}
    world.wait(1)
    world.command("abort")
    world.step()
    assert world.record.phase is RolloutPhase.ABORTED
    assert {task for task, phase in world.phases().items() if phase == "promoted"} == promoted
    traffic = world.service("ingest")["spec"]["traffic"]
    assert [(one["tag"], one["percent"], one["latestRevision"]) for one in traffic] == [
        ("current", 100, True),
        ("candidate", 0, False),
    ]


def test_a_newer_image_takes_over(world: World) -> None:
    world.show(*range(1, 5))
    world.publish(2)
    world.step()
    first = world.record
    world.wait(1)
    world.publish(3)
    assert world.record.name != first.name
    assert world.go_on(complete).promoted == 4
    assert {image(3) in str(world.service(task)["spec"]["template"]) for task in range(1, 5)} == {True}
    assert all(len(world.revisions(task)) == 2 for task in range(1, 5))
    record = world.record
    world.wait(1)
    world.publish(3)  # the same image is no new rollout
    assert world.record == record


def test_what_makes_no_sense_is_refused(world: World) -> None:
    with pytest.raises(Permanent, match="there is no rollout"):
        world.command("pause")
    world.publish(2)
    with pytest.raises(Permanent, match="is not the newest rollout, which is "):
        world.command("pause", rollout="another")
    world.go_on(complete)
    with pytest.raises(Permanent, match="pause means nothing to a rollout that is completed"):
        world.command("pause")


def test_pages_that_end_or_are_extended_meanwhile(world: World) -> None:
    world.show(1, 2, 3)
    world.publish(2)
    asked = []

    def verify(url: str, task: int, *_: object) -> Verdict:
        """While the candidates are asked, one page is released, another one is extended."""
        asked.append(task)
        if task == 1:
            end = Event(EventKey(world.clock.now + timedelta(seconds=1), "w"), EventType.RELEASE, Release(jeditaskid=1))
            handlers.release(end, world.context)
        else:
            event = visualize_event(world.clock.now + timedelta(seconds=1), f"later {task}", jeditaskid=task)
            assert handlers.visualize(event, world.context).type is EventType.READY
        return Verdict(ok=True)

    for _ in range(8):
        world.step(verify=verify)
        world.wait(20)
    assert world.record.phase is RolloutPhase.COMPLETED
    assert world.phases() == {2: "promoted", 3: "promoted"}
    assert sorted(asked) == [1, 2, 3]
    for task in (2, 3):
        annotations = world.service(task)["metadata"]["annotations"]
        assert annotations["bigpanda.cern.ch/event-id"] == f"later {task}"


def test_it_converges_though_it_dies_after_every_write(world: World) -> None:
    world.show(1, 2, 3)
    world.break_pages({2: [2]})
    world.publish(2)
    deaths = 0
    while not complete(world.record):
        try:
            world.step(world.mortal(1))
            world.wait(20)
        except Dead:
            deaths += 1
            world.wait(2)  # the dead one's Lease runs out
        assert deaths < 80
    assert deaths > 15
    assert world.phases() == {1: "promoted", 2: "failed", 3: "promoted"}
    assert [len(world.revisions(task)) for task in (1, 2, 3)] == [2, 1, 2]
    world.command("rollback")
    while world.record.phase is not RolloutPhase.ROLLED_BACK:
        try:
            world.step(world.mortal(1))
        except Dead:
            world.wait(2)
    assert [len(world.revisions(task)) for task in (1, 2, 3)] == [1, 1, 1]
    assert {image(1) in str(world.service(name)["spec"]) for name in ("ingest", "sweep", 1, 2, 3)} == {True}


def test_two_replicas_and_two_images_at_once(world: World) -> None:
    world.show(*range(1, 5))

    def replica(version: int) -> None:
        context = world.another()
        for _ in range(3):
            world.step(context, seconds=20)

    world.publish(2)
    others = [threading.Thread(target=replica, args=(version,)) for version in (2, 3)]
    for one in others:
        one.start()
    world.clock.now += timedelta(seconds=1)
    world.publish(3)
    for one in others:
        one.join()
    assert world.go_on(complete).image == image(3)
    assert set(world.phases().values()) == {"promoted"}
    assert all(len(world.revisions(task)) == 2 for task in range(1, 5))
