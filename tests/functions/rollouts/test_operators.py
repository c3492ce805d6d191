"""Operators have their way with a rollout, and a newer image takes over."""

import pytest

from bigpanda_mlflow.errors import Permanent
from bigpanda_mlflow.rollout_state import RolloutPhase
from support.rollouts import World, complete, image


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


def test_rollback_makes_a_page_anew_that_never_had_the_former_image(world: World) -> None:
    world.show(1)
    world.publish(2)
    world.go_on(complete)
    world.show(2)
    assert image(2) in str(world.service(2)["spec"]["template"])
    world.forget_ingested()
    world.wait(1)
    world.command("rollback")
    world.step()
    assert (world.record.phase, world.phases()) == (RolloutPhase.ROLLED_BACK, {1: "returned", 2: "returned"})
    assert world.ingested() == {("1", 2)}
    assert len(world.revisions(2)) == 1
    world.await_version(2, 1)
    world.wait(1)
    world.publish(2)
    assert world.go_on(complete).promoted == 2


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
