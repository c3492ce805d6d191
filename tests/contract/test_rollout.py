"""What a rolling upgrade leans on: a named Revision beside the one that serves, one patch to it and one back."""

from typing import Any

import pytest

from contract.kit import (
    ASLEEP,
    BRIEF,
    CONFIGURATIONS,
    PODS,
    REVISIONS,
    ROUTES,
    SERVICES,
    Home,
    Object,
    answered,
    condition,
    eventually,
    failure,
)
from contract.test_traffic import ask, await_answers, count, pods, split

CURRENT = {"revisionName": "page-one", "percent": 100, "tag": "current"}
CANDIDATE = {"revisionName": "page-two", "percent": 0, "tag": "candidate"}
TAKEN = 'The revision name "page-one" is taken by a conflicting Revision, so traffic will not be migrated'

REFUSAL = 'admission webhook "validation.webhook.serving.knative.dev" denied the request: validation failed: '


def template(home: Home, name: str, seconds: int, **options: Any) -> Object:
    """A template that asks for a name; another number of seconds is another spec."""
    made: Object = home.make_service("page", spec={"timeoutSeconds": seconds}, **options)["spec"]["template"]
    made["metadata"]["name"] = name
    return made


def serve_one(home: Home, **options: Any) -> None:
    """A Service whose only Revision has a name of our own and, pinned, all traffic."""
    service = home.make_service("page")
    service["spec"] = {"template": template(home, "page-one", 50, **options), "traffic": [CURRENT]}
    home.create(SERVICES, service)
    home.await_ready(SERVICES, "page")
    await_answers(home, "page", "page-one")


def put_beside(home: Home, **options: Any) -> None:
    """A second Revision in the same write as the traffic that leaves it without any."""
    spec = {"template": template(home, "page-two", 60, **options), "traffic": [CURRENT, CANDIDATE]}
    answered(home.patch(SERVICES, "page", {"spec": spec}), 200)


def test_a_candidate_beside_gets_nothing_but_its_tag(home: Home) -> None:
    serve_one(home)
    put_beside(home)
    service = home.normal(home.await_ready(SERVICES, "page"))
    await_answers(home, "candidate-page", "page-two")
    assert count(home, "page") == {"page-one": 200}
    assert service["status"]["latestReadyRevisionName"] == "page-two"
    assert service["status"]["traffic"] == [
        CURRENT | {"latestRevision": False, "url": "http://current-page.NAMESPACE.DOMAIN"},
        CANDIDATE | {"latestRevision": False, "url": "http://candidate-page.NAMESPACE.DOMAIN"},
    ]


def test_one_patch_promotes_and_one_takes_it_back(home: Home) -> None:
    serve_one(home)
    put_beside(home)
    home.await_ready(SERVICES, "page")
    split(home, "page", CURRENT | {"percent": 90}, CANDIDATE | {"percent": 10})
    eventually(lambda: ask(home, "page") == "page-two")
    counts = count(home, "page")
    assert set(counts) == {"page-one", "page-two"}
    assert 1 <= counts["page-two"] <= 60
    previous = {"revisionName": "page-one", "percent": 0, "tag": "previous"}
    split(home, "page", {"revisionName": "page-two", "percent": 100, "tag": "current"}, previous)
    eventually(lambda: {ask(home, "page") for _ in range(20)} == {"page-two"})
    await_answers(home, "previous-page", "page-one")
    await_answers(home, "current-page", "page-two")
    await_answers(home, "candidate-page", "404")
    split(home, "page", CURRENT)
    eventually(lambda: {ask(home, "page") for _ in range(20)} == {"page-one"})
    assert count(home, "page") == {"page-one": 200}


def test_pinned_traffic_stays_where_it_is(home: Home) -> None:
    serve_one(home)
    unnamed = template(home, "", 70)
    unnamed["metadata"]["name"] = None
    answered(home.patch(SERVICES, "page", {"spec": {"template": unnamed}}), 200)
    found = home.await_ready(SERVICES, "page")
    assert found["status"]["latestReadyRevisionName"] == "page-00002"
    assert [one["revisionName"] for one in found["status"]["traffic"]] == ["page-one"]
    assert count(home, "page") == {"page-one": 200}


def test_a_candidate_that_cannot_start_costs_no_request(home: Home) -> None:
    serve_one(home)
    put_beside(home, container={"image": "registry.invalid/nobody:v1"})
    service = home.await_condition(SERVICES, "page", "RoutesReady", "False")
    routed = condition(service, "RoutesReady")
    assert (routed["reason"], routed["message"]) == ("RevisionMissing", 'Revision "page-two" failed to become ready.')
    assert [one["revisionName"] for one in service["status"]["traffic"]] == ["page-one"]
    assert count(home, "page") == {"page-one": 200}
    split_back = {"spec": {"template": template(home, "page-one", 50), "traffic": [CURRENT]}}
    answered(home.patch(SERVICES, "page", split_back), 200)
    found = home.await_ready(SERVICES, "page")
    assert found["status"]["latestReadyRevisionName"] == "page-one"


def test_a_candidate_sleeps_while_the_other_is_awake(home: Home) -> None:
    serve_one(home, annotations=BRIEF | ASLEEP)
    put_beside(home, annotations=BRIEF | ASLEEP)
    await_answers(home, "candidate-page", "page-two")
    assert home.await_condition(REVISIONS, "page-two", "Active", "True")["status"]["actualReplicas"] == 1

    def candidate_sleeps() -> bool:
        assert ask(home, "page") == "page-one"
        return not pods(home, "page-two")

    eventually(candidate_sleeps)
    assert len(pods(home, "page-one")) == 1
    eventually(lambda: not home.get(REVISIONS, "page-two")["status"].get("actualReplicas"))
    assert home.get(REVISIONS, "page-one")["status"]["actualReplicas"] == 1
    eventually(lambda: home.names(PODS, labelSelector="serving.knative.dev/service=page") == [])


def test_a_template_can_go_back_to_a_revision_of_the_same_spec(home: Home) -> None:
    serve_one(home)
    put_beside(home)
    home.await_ready(SERVICES, "page")
    uid = home.get(REVISIONS, "page-one")["metadata"]["uid"]
    answered(home.patch(SERVICES, "page", {"spec": {"template": template(home, "page-one", 50)}}), 200)
    found = home.await_ready(SERVICES, "page")
    assert found["status"]["latestCreatedRevisionName"] == found["status"]["latestReadyRevisionName"] == "page-one"
    assert home.get(REVISIONS, "page-one")["metadata"]["uid"] == uid
    assert sorted(home.names(REVISIONS)) == ["page-one", "page-two"]


def test_a_name_that_another_spec_has_is_refused(home: Home) -> None:
    serve_one(home)
    put_beside(home)
    home.await_ready(SERVICES, "page")
    answered(
        home.patch(
            SERVICES,
            "page",
            {"spec": {"template": template(home, "page-one", 99), "traffic": [CANDIDATE | {"percent": 100}]}},
        ),
        200,
    )
    service = home.await_condition(SERVICES, "page", "RoutesReady", "False")
    routed = condition(service, "RoutesReady")
    assert (routed["reason"], routed["message"]) == ("RevisionNameTaken", TAKEN)
    failed = condition(home.await_condition(CONFIGURATIONS, "page", "Ready", "False"), "Ready")
    words = 'Revision creation failed with message: revisions.serving.knative.dev "page-one" already exists.'
    assert (failed["reason"], failed["message"]) == ("RevisionFailed", words)
    assert home.get(REVISIONS, "page-one")["spec"]["timeoutSeconds"] == 50
    # The traffic of the same write is not taken over either.
    assert [one["revisionName"] for one in home.get(ROUTES, "page")["spec"]["traffic"]] == ["page-one", "page-two"]
    assert ask(home, "page") == "page-one"


def test_a_name_of_another_service_is_refused(home: Home) -> None:
    other = home.make_service("page")
    other["spec"]["template"]["metadata"]["name"] = "page-two-one"
    home.create(SERVICES, other)
    home.await_ready(SERVICES, "page")
    service = home.make_service("page-two")
    service["spec"]["template"]["metadata"]["name"] = "page-two-one"
    home.create(SERVICES, service)
    found = home.await_condition(SERVICES, "page-two", "RoutesReady", "False")
    assert condition(found, "RoutesReady")["reason"] == "RevisionNameTaken"
    assert "traffic" not in found["status"]


def test_a_revision_that_nobody_needs_can_be_deleted(home: Home) -> None:
    serve_one(home)
    put_beside(home)
    home.await_ready(SERVICES, "page")
    split(home, "page", {"revisionName": "page-two", "percent": 100, "tag": "current"})
    answered(home.delete(REVISIONS, "page-one"), 200)
    eventually(lambda: home.names(REVISIONS) == ["page-two"])
    home.await_ready(SERVICES, "page")
    assert ask(home, "page") == "page-two"


def test_nothing_keeps_a_routed_revision_from_being_deleted(home: Home) -> None:
    serve_one(home)
    put_beside(home)
    home.await_ready(SERVICES, "page")
    answered(home.delete(REVISIONS, "page-one"), 200)
    service = home.await_condition(SERVICES, "page", "RoutesReady", "False")
    assert condition(service, "RoutesReady")["message"] == 'Revision "page-one" referenced in traffic not found.'
    split(home, "page", {"revisionName": "page-two", "percent": 100})
    await_answers(home, "page", "page-two")


def test_the_newest_revision_is_made_again(home: Home) -> None:
    home.serve("page")
    uid = home.get(REVISIONS, "page-00001")["metadata"]["uid"]
    answered(home.delete(REVISIONS, "page-00001"), 200)
    eventually(lambda: home.names(REVISIONS) and home.get(REVISIONS, "page-00001")["metadata"]["uid"] != uid)
    home.await_ready(SERVICES, "page")
    await_answers(home, "page", "page-00001")


@pytest.mark.parametrize(
    ("traffic", "message"),
    [
        (
            [CURRENT | {"percent": 101}, CANDIDATE | {"percent": -1}],
            "expected 0 <= -1 <= 100: spec.traffic[1].percent\nexpected 0 <= 101 <= 100: spec.traffic[0].percent",
        ),
        ([CURRENT, CANDIDATE | {"percent": 10}], "Traffic targets sum to 110, want 100: spec.traffic"),
        (
            [CURRENT, CANDIDATE | {"tag": "current"}],
            'Multiple definitions for "current": spec.traffic[0].tag, spec.traffic[1].tag',
        ),
    ],
)
def test_a_patch_of_traffic_that_makes_no_sense_changes_nothing(
    home: Home, traffic: list[Object], message: str
) -> None:
    serve_one(home)
    code, reason, said = failure(home.patch(SERVICES, "page", {"spec": {"traffic": traffic}}))
    assert (code, reason) == (400, "BadRequest")
    assert said == f"{REFUSAL}{message}"
    assert ask(home, "page") == "page-one"
