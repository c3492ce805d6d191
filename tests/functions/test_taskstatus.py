from typing import Any

import pytest

from bigpanda_mlflow.events import EventKey
from bigpanda_mlflow.resources import make_service
from bigpanda_mlflow.taskservice import read_service
from bigpanda_mlflow.taskstatus import TaskState, TaskStatus, read_status
from bigpanda_mlflow.tombstones import Tombstone
from bigpanda_mlflow.visualization import Situation
from support.builders import NOW, SETTINGS, TASK, hours, stored, visualize_event

URL = "https://task-30456789.mlflow.example"
KEY = visualize_event().key


def situation(ready: str | None, stone: Tombstone | None = None) -> Situation:
    raw: dict[str, Any] = stored(make_service(visualize_event(), SETTINGS))
    raw["metadata"]["generation"] = 1
    if ready is not None:
        condition = {"type": "Ready", "status": ready, "message": "in Knative's words"}
        raw["status"] = {"observedGeneration": 1, "conditions": [condition]}
    return Situation(raw, read_service(raw), stone)


def ended(reason: Any) -> Situation:
    return Situation(None, None, Tombstone(EventKey(NOW, "r"), NOW, reason))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (
            Situation(None, None, None),
            TaskStatus(TASK, TaskState.UNKNOWN, reason="nobody has asked for this task's page"),
        ),
        (
            ended("expired"),
            TaskStatus(
                TASK,
                TaskState.EXPIRED,
                reason="the page expired at 2026-11-23T12:00:00Z",
                last=EventKey(NOW, "r"),
            ),
        ),
        (
            ended("released"),
            TaskStatus(
                TASK,
                TaskState.RELEASED,
                reason="the page was released at 2026-11-23T12:00:00Z",
                last=EventKey(NOW, "r"),
            ),
        ),
        (situation("True"), TaskStatus(TASK, TaskState.READY, URL, NOW + hours(24), last=KEY)),
        (
            situation("False"),
            TaskStatus(TASK, TaskState.FAILED, URL, NOW + hours(24), "in Knative's words", KEY),
        ),
        (
            situation(None),
            TaskStatus(TASK, TaskState.PENDING, URL, NOW + hours(24), "Knative has not looked at it yet", KEY),
        ),
    ],
)
def test_every_state(found: Situation, expected: TaskStatus) -> None:
    assert read_status(TASK, found, SETTINGS) == expected


def test_what_is_absent_is_left_out() -> None:
    status = read_status(TASK, situation("True"), SETTINGS)
    assert status.as_json() == {
        "jeditaskid": TASK,
        "state": "ready",
        "url": URL,
        "expires_at": "2026-11-24T12:00:00Z",
    }
