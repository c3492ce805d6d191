"""Rollouts against a real API server: the fleet goes over, a page at fault stays, operators have their way."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bigpanda_mlflow.rollout_state import RolloutPhase
from bigpanda_mlflow.traffic import current_revision
from embedded.kit import Cluster as Runtime
from embedded.kit import eventually
from support.rollouts import World, write_images
from support.sink import Sink


@pytest.fixture
def sink() -> Iterator[Sink]:
    found = Sink()
    yield found
    found.close()


@pytest.fixture
def world(tmp_path: Path, sink: Sink) -> Iterator[World]:
    with Runtime(tmp_path / "state", write_images(tmp_path)) as runtime:
        found = World(runtime, sink.url)
        found.found()
        yield found
        found.api.close()


def test_a_fleet_goes_over_and_the_page_at_fault_stays(world: World, sink: Sink) -> None:
    tasks = range(1, 8)
    world.show(*tasks)
    world.break_pages({2: [3]})
    before = {task: current_revision(world.service(task)) for task in tasks}
    world.publish(2)
    record = world.go_on(lambda one: one.phase is RolloutPhase.COMPLETED)
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
        eventually(lambda task=task: world.served(task) == ("1" if task == 3 else "2"))
    phases = [line.split(":", 2)[1:] for line in sink.taken if "rollout.progressed" in line]
    assert phases[0] == ["preparing", "0:1"]
    assert phases[-1] == ["completed", "2:1"]
