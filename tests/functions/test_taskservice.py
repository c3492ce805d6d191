from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigpanda_mlflow import labels
from bigpanda_mlflow.events import Objective
from bigpanda_mlflow.resources import make_service
from bigpanda_mlflow.taskservice import Readiness, TaskService, read_readiness, read_service
from support.builders import NOW, SETTINGS, TASK, hours, stored, visualize_event

NOTES = (labels.EXPIRES_AT, labels.EVENT_TIME, labels.EVENT_ID, labels.ARTIFACTS, labels.OBJECTIVE, labels.MAX_POINTS)


def test_what_was_written_is_read_back() -> None:
    event = visualize_event(objective={"metric": "loss", "direction": "maximize"}, max_points=48)
    assert read_service(stored(make_service(event, SETTINGS), "u1", "7")) == TaskService(
        name="task-30456789",
        jeditaskid=TASK,
        uid="u1",
        resource_version="7",
        last=event.key,
        expires_at=NOW + hours(24),
        artifacts=event.data.artifacts,
        objective=Objective(metric="loss", direction="maximize"),
        max_points=48,
    )


@given(st.dictionaries(st.sampled_from(NOTES), st.text() | st.just("null") | st.just("[1]") | st.just("{}")))
def test_whatever_somebody_wrote_into_the_annotations_is_readable(edits: dict[str, str]) -> None:
    service = stored(make_service(visualize_event(), SETTINGS))
    service["metadata"]["annotations"].update(edits)
    found = read_service(service)
    assert found is not None
    assert found.jeditaskid == TASK
    assert all(isinstance(uri, str) for uri in found.artifacts)


@pytest.mark.parametrize("change", [{"labels": {}}, {"name": "visualize"}, {"labels": {labels.MANAGED_BY: "helm"}}])
def test_what_we_did_not_make_is_no_task(change: dict[str, Any]) -> None:
    service = stored(make_service(visualize_event(), SETTINGS))
    service["metadata"].update(change)
    assert read_service(service) is None


def service_with(observed: int, *conditions: tuple[str, str, str]) -> dict[str, Any]:
    found = [{"type": kind, "status": status, "message": message} for kind, status, message in conditions]
    return {"metadata": {"generation": 2}, "status": {"observedGeneration": observed, "conditions": found}}


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        (service_with(2, ("Ready", "True", "")), Readiness("True", "no reason given")),
        (service_with(2, ("Ready", "Unknown", "wait")), Readiness("Unknown", "wait")),
        (service_with(2, ("Ready", "False", "no Revision")), Readiness("False", "no Revision")),
        (
            service_with(2, ("Ready", "False", "no Revision"), ("ConfigurationsReady", "False", "no image")),
            Readiness("False", "no image"),
        ),
        (
            service_with(2, ("Ready", "False", "no route"), ("ConfigurationsReady", "True", "")),
            Readiness("False", "no route"),
        ),
        (service_with(1, ("Ready", "True", "")), Readiness("Unknown", "Knative has not looked at it yet")),
        ({"metadata": {"generation": 1}}, Readiness("Unknown", "Knative has not looked at it yet")),
    ],
)
def test_readiness_is_that_of_what_we_wrote(service: dict[str, Any], expected: Readiness) -> None:
    assert read_readiness(service) == expected
