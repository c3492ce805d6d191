"""Requests by host, tag and percent, as clients see them, and the sleep of each Revision by itself."""

import collections
from typing import Any

from contract.kit import ASLEEP, BRIEF, PODS, REVISIONS, SERVICES, Home, answered, condition, eventually

STATE = "serving.knative.dev/routingState"
PATCH = {"spec": {"template": {"spec": {"timeoutSeconds": 60}}}}
DRAWS = 200
"""With a share of 30 % a count outside of FEW to MANY is rarer than one in a million."""
FEW, MANY = 28, 92


def make_two(home: Home, name: str, **options: Any) -> None:
    """A Service with two Revisions, all traffic on the second."""
    home.serve(name, **options)
    answered(home.patch(SERVICES, name, PATCH), 200)
    home.await_ready(SERVICES, name)
    await_answers(home, name, f"{name}-00002")


def split(home: Home, name: str, *traffic: dict[str, Any]) -> None:
    """Give a Service its traffic block."""
    answered(home.patch(SERVICES, name, {"spec": {"traffic": list(traffic)}}), 200)
    home.await_ready(SERVICES, name)


def ask(home: Home, host: str) -> str:
    """The Revision that answers a host."""
    answer = home.fetch(host)
    return answer.text if answer.status_code == 200 else f"{answer.status_code}"


def await_answers(home: Home, host: str, wanted: str) -> None:
    """Until a host is served by that Revision: an ingress hears of a change after the Service is ready."""
    eventually(lambda: ask(home, host) == wanted)


def count(home: Home, host: str) -> dict[str, int]:
    """How often which Revision answers."""
    return dict(collections.Counter(ask(home, host) for _ in range(DRAWS)))


def test_traffic_by_percent(home: Home) -> None:
    make_two(home, "page")
    split(home, "page", {"revisionName": "page-00001", "percent": 30}, {"latestRevision": True, "percent": 70})
    await_answers(home, "page", "page-00001")
    counts = count(home, "page")
    assert set(counts) == {"page-00001", "page-00002"}
    assert FEW <= counts["page-00001"] <= MANY
    split(home, "page", {"revisionName": "page-00001", "percent": 100}, {"latestRevision": True, "percent": 0})
    eventually(lambda: {ask(home, "page") for _ in range(20)} == {"page-00001"})
    assert count(home, "page") == {"page-00001": DRAWS}


def test_traffic_by_tag(home: Home) -> None:
    make_two(home, "page")
    first, latest = {"revisionName": "page-00001"}, {"latestRevision": True}
    split(home, "page", latest | {"percent": 100}, first | {"tag": "old"}, latest | {"tag": "new"})
    await_answers(home, "old-page", "page-00001")
    await_answers(home, "new-page", "page-00002")
    assert ask(home, "page") == "page-00002"
    urls = {one.get("tag"): one.get("url") for one in home.normal(home.get(SERVICES, "page"))["status"]["traffic"]}
    assert urls == {None: None, "old": "http://old-page.NAMESPACE.DOMAIN", "new": "http://new-page.NAMESPACE.DOMAIN"}
    split(home, "page", latest | {"percent": 100}, latest | {"tag": "old"})
    await_answers(home, "old-page", "page-00002")
    await_answers(home, "new-page", "404")


def test_the_latest_revision_takes_over_when_it_is_ready(home: Home) -> None:
    home.serve("page")
    await_answers(home, "page", "page-00001")
    broken = {"containers": [{"image": "registry.invalid/nobody:v1"}]}
    answered(home.patch(SERVICES, "page", {"spec": {"template": {"spec": broken}}}), 200)
    home.await_condition(SERVICES, "page", "ConfigurationsReady", "False")
    assert ask(home, "page") == "page-00001"
    (one,) = home.make_service("page")["spec"]["template"]["spec"]["containers"]
    answered(home.patch(SERVICES, "page", {"spec": {"template": {"spec": {"containers": [one]}}}}), 200)
    home.await_ready(SERVICES, "page")
    await_answers(home, "page", "page-00003")


def pods(home: Home, revision: str) -> list[str]:
    """The pods of a Revision."""
    return home.names(PODS, labelSelector=f"serving.knative.dev/revision={revision}")


def test_each_revision_sleeps_and_wakes_by_itself(home: Home) -> None:
    make_two(home, "page", annotations=BRIEF | ASLEEP)
    latest = {"latestRevision": True}
    split(home, "page", latest | {"percent": 100}, {"revisionName": "page-00001", "tag": "old"})
    eventually(lambda: not pods(home, "page-00001") and not pods(home, "page-00002"))
    await_answers(home, "old-page", "page-00001")
    home.await_condition(REVISIONS, "page-00001", "Active", "True")
    assert len(pods(home, "page-00001")) == 1
    assert pods(home, "page-00002") == []
    assert condition(home.get(REVISIONS, "page-00002"), "Active")["reason"] == "NoTraffic"
    assert ask(home, "page") == "page-00002"
    home.await_condition(REVISIONS, "page-00002", "Active", "True")
    eventually(lambda: not pods(home, "page-00001") and not pods(home, "page-00002"))


def test_a_revision_without_traffic_is_not_reachable(home: Home) -> None:
    make_two(home, "page")
    found = home.await_condition(REVISIONS, "page-00001", "Active", "False")
    eventually(lambda: home.get(REVISIONS, "page-00001")["metadata"]["labels"].get(STATE) == "reserve")
    assert condition(found, "Active")["severity"] == "Info"
    assert home.get(REVISIONS, "page-00002")["metadata"]["labels"][STATE] == "active"


def test_a_floor_keeps_a_pod(home: Home) -> None:
    home.serve("floor", annotations=BRIEF | {"autoscaling.knative.dev/min-scale": "1"})
    home.serve("page", annotations=BRIEF)
    (pod,) = pods(home, "floor-00001")
    eventually(lambda: not pods(home, "page-00001"))
    assert pods(home, "floor-00001") == [pod]
    assert condition(home.get(REVISIONS, "floor-00001"), "Active")["status"] == "True"
