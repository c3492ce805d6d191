"""A page's Service through a rollout: whole objects, before and after each write."""

from dataclasses import replace
from typing import Any

from bigpanda_mlflow import labels
from bigpanda_mlflow.events import EventKey
from bigpanda_mlflow.resources import make_service, renew_service
from bigpanda_mlflow.rollout_services import (
    begin,
    goal_of_retreat,
    needed_revisions,
    retreat,
    settle,
    shift,
    state_of,
)
from bigpanda_mlflow.rollout_state import Rollout, RolloutPhase, ServicePhase, ServiceState, read_state
from bigpanda_mlflow.traffic import make_traffic
from support.builders import NOW, SETTINGS, TASK, hours, visualize_event

IMAGE = "registry.example/mlflow@sha256:" + "ab" * 32
ROLLOUT = Rollout("r", IMAGE, "2", "old", EventKey(NOW, "e"), RolloutPhase.ROLLING, NOW, cohort=1, round=2)
CURRENT, CANDIDATE = f"task-{TASK}-00001", f"task-{TASK}-abababab-8"


def standing() -> dict[str, Any]:
    """As Knative gives it back."""
    service = make_service(visualize_event(), SETTINGS)
    service["metadata"]["generation"] = 7
    service["spec"]["traffic"] = [{"latestRevision": True, "percent": 100}]
    observed = [{"latestRevision": True, "percent": 100, "revisionName": CURRENT}]
    service["status"] = {"traffic": observed, "latestCreatedRevisionName": CURRENT}
    return service


def annotation(service: dict[str, Any]) -> ServiceState | None:
    return read_state(service["metadata"]["annotations"][labels.ROLLOUT])


def test_begin_changes_image_name_and_traffic_and_nothing_else() -> None:
    before = standing()
    begun = begin(before, ROLLOUT, NOW)
    expected = standing()
    state = ServiceState("r", ServicePhase.CANDIDATE, NOW, 1, 2, current=CURRENT, candidate=CANDIDATE)
    assert annotation(begun) == state
    expected["metadata"]["annotations"][labels.ROLLOUT] = begun["metadata"]["annotations"][labels.ROLLOUT]
    expected["spec"]["template"]["metadata"]["name"] = CANDIDATE
    expected["spec"]["template"]["spec"]["containers"][0]["image"] = IMAGE
    expected["spec"]["traffic"] = make_traffic(CURRENT, candidate=CANDIDATE)
    assert begun == expected
    assert before == standing()


def test_a_candidate_sleeps_until_its_snapshot_is_made_though_the_page_was_prewarmed() -> None:
    service = standing()
    service["spec"]["template"]["metadata"]["annotations"][labels.INITIAL_SCALE] = "1"
    template = begin(service, ROLLOUT, NOW)["spec"]["template"]
    assert template["metadata"]["annotations"][labels.INITIAL_SCALE] == "0"


def test_to_100_and_back_again_is_the_template_of_before() -> None:
    begun = begin(standing(), ROLLOUT, NOW)
    state = state_of(begun)
    assert state is not None
    part = shift(begun, state, 50, NOW + hours(1))
    assert part["spec"]["traffic"] == make_traffic(CURRENT, candidate=CANDIDATE, percent=50)
    assert state_of(part) == replace(state, phase=ServicePhase.SHIFTING, percent=50, since=NOW + hours(1))
    done = shift(begun, state, 100, NOW)
    promoted = state_of(done)
    assert promoted == replace(
        state, phase=ServicePhase.PROMOTED, percent=100, current=CANDIDATE, previous=CURRENT, candidate=""
    )
    assert done["spec"]["traffic"] == make_traffic(CANDIDATE, previous=CURRENT)
    assert goal_of_retreat(promoted) == CURRENT
    template = standing()["spec"]["template"]
    own = {**template["metadata"]["labels"], "serving.knative.dev/service": f"task-{TASK}"}
    revision = {
        "metadata": {"name": CURRENT, "labels": own, "annotations": template["metadata"]["annotations"]},
        "spec": template["spec"],
    }
    back = retreat(done, revision, "it is slow", NOW, fails=True)
    assert back["spec"]["template"] == {**template, "metadata": {**template["metadata"], "name": CURRENT}}
    assert back["spec"]["traffic"] == make_traffic(CURRENT)
    failing = state_of(back)
    assert failing is not None
    assert (failing.phase, failing.candidate, failing.reason) == (ServicePhase.FAILING, CANDIDATE, "it is slow")
    back["status"]["traffic"] = back["spec"]["traffic"]
    assert needed_revisions(back) == {CURRENT, ""}
    failed = state_of(settle(back, failing, NOW))
    assert failed == replace(failing, phase=ServicePhase.FAILED, candidate="")


def test_no_revision_is_let_go_that_is_routed_or_to_be() -> None:
    service = standing()
    assert needed_revisions(service) >= {CURRENT}
    begun = begin(service, ROLLOUT, NOW)
    assert needed_revisions(begun) >= {CURRENT, CANDIDATE}


def test_a_page_without_a_revision_that_is_ready_fails() -> None:
    service = standing()
    service["status"] = {}
    state = state_of(begin(service, ROLLOUT, NOW))
    assert state is not None
    assert (state.phase, state.reason) == (ServicePhase.FAILED, "has no Revision that is ready")


def test_asking_for_the_page_again_leaves_its_rollout_alone() -> None:
    begun = begin(standing(), ROLLOUT, NOW)
    renewed = renew_service(begun, visualize_event(NOW + hours(1), "later"))
    assert renewed["spec"] == begun["spec"]
    assert state_of(renewed) == state_of(begun)
