"""Services at work: why one is not ready, where its traffic goes, how it sleeps and wakes."""

from typing import Any

import pytest

from contract.kit import BRIEF, CONFIGURATIONS, PODS, REVISIONS, ROUTES, SERVICES, Home, answered, condition, eventually

UNREADY = {"reason": "RevisionMissing", "message": 'Configuration "bad" does not have any ready Revision.'}
SECRET = {"name": "A", "valueFrom": {"secretKeyRef": {"name": "nowhere", "key": "k"}}}
HASTY = {"serving.knative.dev/progress-deadline": "5s"}


def fail(home: Home, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The Revision and the Service, once both have failed and the Route has said so too."""
    home.create(SERVICES, home.make_service("bad", **options))
    service = home.await_condition(SERVICES, "bad", "RoutesReady", "False")
    return home.await_condition(REVISIONS, "bad-00001", "Ready", "False"), service


def said(thing: dict[str, Any], kind: str) -> dict[str, Any]:
    return {key: value for key, value in condition(thing, kind).items() if key != "type"}


def test_an_image_that_is_nowhere(home: Home) -> None:
    revision, service = fail(home, annotations={}, container={"image": "registry.invalid/nobody:v1"})
    failed = condition(revision, "Ready")
    start = 'Unable to fetch image "registry.invalid/nobody:v1": '
    assert (failed["reason"], failed["message"][: len(start)]) == ("ContainerMissing", start)
    assert said(revision, "ContainerHealthy") == said(revision, "Ready")
    assert said(revision, "ResourcesAvailable") == {"status": "Unknown", "reason": "ResolvingDigests"}
    blamed = {
        "status": "False",
        "reason": "RevisionFailed",
        "message": f'Revision "bad-00001" failed with message: {failed["message"]}.',
    }
    assert said(home.get(CONFIGURATIONS, "bad"), "Ready") == blamed
    assert said(service, "ConfigurationsReady") == blamed
    assert said(service, "RoutesReady") == said(service, "Ready") == {"status": "False"} | UNREADY
    assert service["status"]["latestCreatedRevisionName"] == "bad-00001"
    assert "latestReadyRevisionName" not in service["status"]
    route = home.get(ROUTES, "bad")
    assert said(route, "AllTrafficAssigned") == said(route, "Ready") == {"status": "False"} | UNREADY
    assert said(route, "CertificateProvisioned") == {"status": "Unknown"}
    assert said(route, "IngressReady") == {
        "status": "Unknown",
        "reason": "IngressNotConfigured",
        "message": "Ingress has not yet been reconciled.",
    }


def test_a_secret_that_is_nowhere(home: Home) -> None:
    revision, service = fail(home, annotations=HASTY, container={"env": [SECRET]})
    missing = {"status": "False", "reason": "CreateContainerConfigError", "message": 'secret "nowhere" not found'}
    assert said(revision, "Ready") == said(revision, "ResourcesAvailable") == missing
    assert condition(revision, "ContainerHealthy")["status"] == "Unknown"
    assert said(service, "ConfigurationsReady") == {
        "status": "False",
        "reason": "RevisionFailed",
        "message": 'Revision "bad-00001" failed with message: secret "nowhere" not found.',
    }
    assert said(service, "RoutesReady") == {"status": "False"} | UNREADY


def test_a_failed_revision_leaves_the_traffic_where_it_is(home: Home) -> None:
    home.serve("good")
    patch = {"containers": [{"image": "registry.invalid/nobody:v1"}]}
    answered(home.patch(SERVICES, "good", {"spec": {"template": {"spec": patch}}}), 200)
    status = home.await_condition(SERVICES, "good", "ConfigurationsReady", "False")["status"]
    assert status["latestCreatedRevisionName"] == "good-00002"
    assert status["latestReadyRevisionName"] == "good-00001"
    assert [one["revisionName"] for one in status["traffic"]] == ["good-00001"]


def test_tags_and_percents(home: Home) -> None:
    home.serve("split")
    answered(home.patch(SERVICES, "split", {"spec": {"template": {"spec": {"timeoutSeconds": 60}}}}), 200)
    home.await_ready(SERVICES, "split")
    traffic: list[dict[str, Any]] = [
        {"revisionName": "split-00001", "percent": 90, "tag": "old"},
        {"latestRevision": True, "percent": 10},
        {"latestRevision": True, "tag": "new"},
    ]
    answered(home.patch(SERVICES, "split", {"spec": {"traffic": traffic}}), 200)
    service = home.normal(home.await_ready(SERVICES, "split"))
    assert service["status"]["traffic"] == [
        {
            "latestRevision": False,
            "percent": 90,
            "revisionName": "split-00001",
            "tag": "old",
            "url": "http://old-split.NAMESPACE.DOMAIN",
        },
        {"latestRevision": True, "percent": 10, "revisionName": "split-00002"},
        {
            "latestRevision": True,
            "percent": 0,
            "revisionName": "split-00002",
            "tag": "new",
            "url": "http://new-split.NAMESPACE.DOMAIN",
        },
    ]
    floating = {"configurationName": "split", "latestRevision": True}
    assert home.get(ROUTES, "split")["spec"]["traffic"] == [
        traffic[0] | {"latestRevision": False},
        floating | {"percent": 10},
        floating | {"percent": 0, "tag": "new"},
    ]


def test_traffic_to_a_revision_that_is_nowhere(home: Home) -> None:
    home.serve("lost")
    answered(home.patch(SERVICES, "lost", {"spec": {"traffic": [{"revisionName": "lost-9", "percent": 100}]}}), 200)
    service = home.await_condition(SERVICES, "lost", "Ready", "False")
    missing = {"reason": "RevisionMissing", "message": 'Revision "lost-9" referenced in traffic not found.'}
    assert said(service, "Ready") == said(service, "RoutesReady") == {"status": "False"} | missing
    assert said(service, "ConfigurationsReady") == {"status": "True"}
    assert [one["revisionName"] for one in service["status"]["traffic"]] == ["lost-00001"]
    answered(home.patch(SERVICES, "lost", {"spec": {"traffic": None}}), 200)
    found = home.await_ready(SERVICES, "lost")
    assert found["spec"]["traffic"] == [{"latestRevision": True, "percent": 100}]


def test_a_cluster_local_service(home: Home) -> None:
    service = home.normal(home.serve("inner", labels={"networking.knative.dev/visibility": "cluster-local"}))
    assert service["status"]["url"] == "http://inner.NAMESPACE.svc.cluster.local"
    assert service["status"]["address"] == {"url": "http://inner.NAMESPACE.svc.cluster.local"}
    assert said(home.get(ROUTES, "inner"), "CertificateProvisioned") == {
        "status": "True",
        "reason": "TLSNotEnabled",
        "message": "external-domain-tls is not enabled",
    }
    assert home.fetch("inner").status_code == 404
    answered(home.patch(SERVICES, "inner", {"metadata": {"labels": {"networking.knative.dev/visibility": None}}}), 200)
    eventually(lambda: home.fetch("inner").status_code == 200)


def test_asleep_awake_asleep_awake(home: Home) -> None:
    home.serve("page", annotations=BRIEF | {"autoscaling.knative.dev/initial-scale": "0"})
    mine = {"labelSelector": "serving.knative.dev/service=page"}
    assert home.names(PODS, **mine) == []
    assert home.fetch("page").status_code == 200
    awake = home.await_condition(REVISIONS, "page-00001", "Active", "True")
    assert awake["status"]["actualReplicas"] == 1
    assert len(home.names(PODS, **mine)) == 1
    eventually(lambda: home.names(PODS, **mine) == [])
    idle = home.await_condition(REVISIONS, "page-00001", "Active", "False")
    assert condition(idle, "Active")["reason"] == "NoTraffic"
    assert said(home.get(SERVICES, "page"), "Ready") == {"status": "True"}
    assert home.fetch("page").status_code == 200


@pytest.mark.parametrize("host", ["nobody", "nobody-page"])
def test_a_host_that_nobody_has(home: Home, host: str) -> None:
    assert home.fetch(host).status_code == 404


def test_a_pod_from_the_start(home: Home) -> None:
    home.serve("awake", annotations={})
    revision = home.get(REVISIONS, "awake-00001")
    assert revision["status"]["actualReplicas"] == 1
    assert said(revision, "Active") == {"severity": "Info", "status": "True"}
