"""What may happen meanwhile: pages that end, processes that die, others that write at the same time."""

import dataclasses
import threading
from datetime import datetime, timedelta

import pytest

from bigpanda_mlflow import handlers, labels
from bigpanda_mlflow.cluster_fleet import Fleet
from bigpanda_mlflow.errors import Transient
from bigpanda_mlflow.events import Event, EventKey, EventType, Release, SnapshotPublished
from bigpanda_mlflow.rollout_services import begin
from bigpanda_mlflow.rollout_state import RolloutPhase
from bigpanda_mlflow.verification import Verdict
from support.builders import visualize_event
from support.rollouts import Dead, World, complete, image


def test_pages_that_end_or_are_extended_meanwhile(world: World) -> None:
    world.show(1, 2, 3)
    world.publish(2)
    asked = []

    def verify(url: str, task: int, *_: object) -> Verdict:
        """While the candidates are asked, one page is released, another one is extended."""
        asked.append(task)
        assert ("2", task) in world.ingested()  # what it is to show is there before it is woken
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

    def replica() -> None:
        context = world.another()
        for _ in range(3):
            world.step(context, seconds=20)

    world.publish(2)
    others = [threading.Thread(target=replica) for _ in range(2)]
    for one in others:
        one.start()
    world.clock.now += timedelta(seconds=1)
    world.publish(3)
    for one in others:
        one.join()
    assert world.go_on(complete).image == image(3)
    assert set(world.phases().values()) == {"promoted"}
    assert all(len(world.revisions(task)) == 2 for task in range(1, 5))


def test_who_holds_the_lease_takes_the_steps_until_it_runs_out(world: World) -> None:
    world.show(1)
    world.publish(2)
    assert Fleet(world.context.cluster).hold_lease("somebody else", world.clock())
    world.step()
    assert world.record.announced == ""
    world.wait(2)
    world.step()
    assert world.phases() == {1: "promoted"}


def test_without_a_lease_an_operator_is_told(world: World) -> None:
    world.publish(2)
    path = f"/apis/coordination.k8s.io/v1/namespaces/{world.namespace}/leases/{labels.ROLLOUTS}"
    assert world.runtime.api.delete(path).status_code == 200
    with pytest.raises(Transient, match="there is no Lease bigpanda-mlflow-rollouts: apply this project's manifests"):
        world.step()


def test_an_image_that_does_not_start_halts_the_rollout_before_any_page(world: World) -> None:
    world.show(1)
    world.publish(9)
    world.step()
    assert world.record.phase == "preparing"
    world.wait(11)
    world.step()
    assert (world.record.phase, world.phases()) == ("halted", {1: ""})
    assert "the new image's ingest is not ready" in str(world.record.reason)


def test_a_page_stays_ready_while_its_candidate_cannot_start(world: World) -> None:
    world.show(1)
    rollout = dataclasses.replace(world.publish(2), image=image(9))
    world.context.cluster.replace_service(begin(world.service(1), rollout, world.clock()))
    event = visualize_event(world.clock() + timedelta(seconds=1), "again", jeditaskid=1)
    assert handlers.visualize(event, world.context).type is EventType.READY
    assert world.served(1) == "1"


def test_a_page_of_another_image_gets_the_news_of_its_task_too(world: World) -> None:
    world.show(1, 2, 3)
    world.publish(2)
    world.step()
    promoted = [task for task, phase in world.phases().items() if phase == "promoted"]
    world.forget_ingested()
    for task in (1, 2, 3):
        world.send(snapshot_event(world.clock(), task))
    assert world.ingested() == {("2", task) for task in promoted}
    world.break_pages({2: [task for task in (1, 2, 3) if task not in promoted]})
    world.go_on(complete)
    world.forget_ingested()
    for task in (1, 2, 3):
        world.send(snapshot_event(world.clock(), task))
    # The ingest has changed over: now the page that stayed behind is the odd one out.
    assert world.ingested() == {("1", task) for task in (1, 2, 3) if task not in promoted}


def snapshot_event(now: datetime, task: int) -> Event[SnapshotPublished]:
    data = SnapshotPublished(jeditaskid=task, runs=1, points=1, segments=(), lost=(), best_value=None, digest="d")
    return Event(EventKey(now, f"{task}:d"), EventType.SNAPSHOT_PUBLISHED, data)
