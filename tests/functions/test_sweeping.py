import dataclasses
import threading
from collections.abc import Mapping
from datetime import timedelta

import pytest

from bigpanda_mlflow import labels
from bigpanda_mlflow.events import Event, EventKey, EventType, Results
from bigpanda_mlflow.resources import make_service
from bigpanda_mlflow.sweeping import is_finished, is_worth_a_look, look_at_each, make_results, plan_awaited
from bigpanda_mlflow.taskservice import TaskService, read_service
from bigpanda_mlflow.wire import read_event, write_outcome
from mlflow_on_demand.awaited import Awaited
from mlflow_on_demand.snapshot import Manifest, Source
from support.builders import NOW, SETTINGS, hours, stored, visualize_event
from support.scenes import MANIFEST

PATIENCE = timedelta(days=3)
SOURCES = tuple(Source(f"{number}.tgz", f"s3://panda/{number}.tgz", 1, "e") for number in range(4))
GOOD = dataclasses.replace(MANIFEST, sources=SOURCES, lost=())


def service(max_points: int | None = None, edits: Mapping[str, str] | None = None) -> TaskService:
    raw = stored(make_service(visualize_event(max_points=max_points), SETTINGS))
    raw["metadata"]["annotations"].update(edits or {})
    found = read_service(raw)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("max_points", "manifest", "published", "later", "finished"),
    [
        # nothing tells but time: since the event, or since the last snapshot
        (None, None, -1, 72, False),
        (None, None, -1, 73, True),
        (None, GOOD, 10, 82, False),
        (None, GOOD, 10, 83, True),
        # the event told how many points there are to be
        (4, GOOD, 10, 11, True),
        (5, GOOD, 10, 11, False),
        (5, GOOD, 10, 83, True),
        (4, None, -1, 1, False),
        # one of them was lost: it may come anew
        (4, dataclasses.replace(GOOD, lost=MANIFEST.lost), 10, 11, False),
    ],
)
def test_when_a_task_is_finished(
    max_points: int | None, manifest: Manifest | None, published: int, later: int, finished: bool
) -> None:
    when = 0 if published < 0 else int((NOW + hours(published)).timestamp())
    assert is_finished(service(max_points), manifest, when, PATIENCE, NOW + hours(later)) is finished


def test_what_is_awaited_is_what_the_newest_request_said() -> None:
    def by(points: int | None, later: int) -> Awaited:
        return Awaited(points, int((NOW + hours(later)).timestamp()), 3 * 24 * 3600)

    standing, results = service(4), Event(EventKey(NOW + hours(2), "n"), EventType.RESULTS, Results(jeditaskid=7))
    asked = (
        (visualize_event(max_points=5), None, by(5, 0)),
        (visualize_event(NOW + hours(1), max_points=5), standing, by(5, 1)),
        (visualize_event(NOW + hours(1)), standing, by(None, 1)),
        (visualize_event(NOW - hours(1), max_points=5), standing, by(4, 0)),
        (results, standing, by(4, 0)),
        (results, None, None),
    )
    for event, found, awaited in asked:
        assert plan_awaited(event, found, PATIENCE) == awaited


def test_which_tasks_are_worth_a_look() -> None:
    assert is_worth_a_look(service(), NOW + hours(23))
    assert not is_worth_a_look(service(), NOW + hours(24))
    assert not is_worth_a_look(service(edits={labels.ARTIFACTS: "[]"}), NOW)
    assert is_worth_a_look(service(edits={labels.EXPIRES_AT: "edited by hand"}), NOW)


def test_the_event_can_be_read_and_the_same_finding_is_the_same_event() -> None:
    outcome = make_results(7, SOURCES, NOW)
    headers, body = write_outcome(outcome)
    read = read_event(headers, body, (EventType.RESULTS,), NOW)
    assert (read.key.time, read.key.id, read.data) == (NOW, outcome.id, Results(jeditaskid=7))
    assert make_results(7, SOURCES, NOW + hours(1)).id == outcome.id
    changed = (*SOURCES[:3], dataclasses.replace(SOURCES[3], etag="f"))
    assert len({make_results(7, news, NOW).id for news in (SOURCES, SOURCES[:3], changed)}) == 3


def test_all_are_looked_at() -> None:
    seen: list[int] = []
    assert look_at_each(range(100), seen.append, 60) == 0
    assert sorted(seen) == list(range(100))


def test_what_hangs_costs_nobody_but_itself() -> None:
    seen: list[int] = []
    hold = threading.Event()

    def look(task: int) -> None:
        if task == 0:
            hold.wait()
        seen.append(task)

    assert look_at_each(range(20), look, 1) == 1
    assert sorted(seen) == list(range(1, 20))
    hold.set()
