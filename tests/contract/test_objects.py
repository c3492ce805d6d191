"""What an API server makes of a Service, and of what follows from it: whole objects, defaults included."""

from typing import Any

from contract.kit import CONFIGURATIONS, REVISIONS, ROUTES, SERVICES, Home, answered

USERS = {"serving.knative.dev/creator": "USER", "serving.knative.dev/lastModifier": "USER"}
ASLEEP = {"autoscaling.knative.dev/initial-scale": "0"}
OWNED = {"serving.knative.dev/service": "hello", "serving.knative.dev/serviceUID": "UID"}
SPEC = {
    "containerConcurrency": 0,
    "containers": [
        {
            "command": ["python3", "-c", "RECEIVER"],
            "image": "IMAGE",
            "name": "user-container",
            "readinessProbe": {"successThreshold": 1, "tcpSocket": {"port": 0}},
            "resources": {},
        }
    ],
    "enableServiceLinks": False,
    "timeoutSeconds": 300,
}
TEMPLATE = {"metadata": {"annotations": ASLEEP}, "spec": SPEC}
LOCAL = {"url": "http://hello.NAMESPACE.svc.cluster.local"}
URL = "http://hello.NAMESPACE.DOMAIN"
REACHED = {"latestRevision": True, "percent": 100, "revisionName": "hello-00001"}
NO_TLS = {"reason": "TLSNotEnabled", "message": "external-domain-tls is not enabled"}


def make_object(kind: str, *, name: str = "hello", owner: str = "", **metadata: Any) -> dict[str, Any]:
    """Type and metadata as an API server writes them."""
    made = {"name": name, "namespace": "NAMESPACE", "uid": "UID", "creationTimestamp": "TIME", "generation": 1}
    if owner:
        reference = {"apiVersion": "serving.knative.dev/v1", "kind": owner, "name": "hello", "uid": "UID"}
        made["ownerReferences"] = [reference | {"controller": True, "blockOwnerDeletion": True}]
    return {"apiVersion": "serving.knative.dev/v1", "kind": kind, "metadata": made | metadata}


def make_status(*conditions: dict[str, str], **fields: Any) -> dict[str, Any]:
    made = [{"status": "True", "lastTransitionTime": "TIME"} | one for one in conditions]
    return {"observedGeneration": 1, "conditions": made, **fields}


def types(*names: str) -> list[dict[str, str]]:
    return [{"type": name} for name in names]


def test_a_new_service_is_defaulted(home: Home) -> None:
    made = home.create(SERVICES, home.make_service("hello"))
    assert home.normal(made) == make_object("Service", annotations=USERS) | {
        "spec": {"template": TEMPLATE, "traffic": [{"latestRevision": True, "percent": 100}]}
    }


def test_a_service_and_its_children(home: Home) -> None:
    service = home.normal(home.serve("hello"))
    latest = {"latestCreatedRevisionName": "hello-00001", "latestReadyRevisionName": "hello-00001"}
    reached = {"url": URL, "address": LOCAL, "traffic": [REACHED]}
    assert service == make_object("Service", annotations=USERS) | {
        "spec": {"template": TEMPLATE, "traffic": [{"latestRevision": True, "percent": 100}]},
        "status": make_status(*types("ConfigurationsReady", "Ready", "RoutesReady"), **latest, **reached),
    }
    annotations = USERS | {"serving.knative.dev/routes": "hello"}
    configuration = make_object("Configuration", owner="Service", labels=OWNED, annotations=annotations)
    assert home.normal(home.get(CONFIGURATIONS, "hello")) == configuration | {
        "spec": {"template": TEMPLATE},
        "status": make_status(*types("Ready"), **latest),
    }
    labels = {"serving.knative.dev/service": "hello"}
    secured = [{"type": "CertificateProvisioned"} | NO_TLS]
    conditions = types("AllTrafficAssigned") + secured + types("IngressReady", "Ready")
    assert home.normal(home.get(ROUTES, "hello")) == make_object(
        "Route", owner="Service", labels=labels, annotations=USERS
    ) | {
        "spec": {"traffic": [{"configurationName": "hello", "latestRevision": True, "percent": 100}]},
        "status": make_status(*conditions, **reached),
    }


def test_a_revision_that_starts_asleep(home: Home) -> None:
    home.serve("hello")
    revision = home.normal(home.get(REVISIONS, "hello-00001"))
    idle = {"reason": "NoTraffic", "message": "The target is not receiving traffic."}
    active = {"type": "Active", "severity": "Info", "status": "False"} | idle
    labels = OWNED | {
        "serving.knative.dev/configuration": "hello",
        "serving.knative.dev/configurationGeneration": "1",
        "serving.knative.dev/configurationUID": "UID",
        "serving.knative.dev/routingState": "active",
    }
    annotations = ASLEEP | {
        "serving.knative.dev/creator": "USER",
        "serving.knative.dev/routes": "hello",
        "serving.knative.dev/routingStateModified": "TIME",
    }
    # Where Knative looks digests up, the image's is here.
    containers = [{"name": one["name"]} for one in revision["status"].pop("containerStatuses")]
    assert containers == [{"name": "user-container"}]
    metadata = {"labels": labels, "annotations": annotations}
    assert revision == make_object("Revision", name="hello-00001", owner="Configuration", **metadata) | {
        "spec": SPEC,
        "status": make_status(active, *types("ContainerHealthy", "Ready", "ResourcesAvailable"), actualReplicas=0),
    }


def test_defaults_of_probes_mounts_and_targets(home: Home) -> None:
    container = {
        "readinessProbe": {"httpGet": {"path": "/health"}, "periodSeconds": 1},
        "ports": [{"name": "http1", "containerPort": 8080}],
        "volumeMounts": [{"name": "scratch", "mountPath": "/tmp"}],
    }
    service = home.make_service("full", container=container, spec={"volumes": [{"name": "scratch", "emptyDir": {}}]})
    service["spec"]["traffic"] = [{"latestRevision": True, "percent": 100}, {"tag": "new", "latestRevision": True}]
    spec = home.create(SERVICES, service)["spec"]
    (one,) = spec["template"]["spec"]["containers"]
    assert one["readinessProbe"] == {
        "httpGet": {"path": "/health", "port": 0},
        "periodSeconds": 1,
        "successThreshold": 1,
        "failureThreshold": 3,
        "timeoutSeconds": 1,
    }
    assert one["volumeMounts"] == [{"name": "scratch", "mountPath": "/tmp"}]
    assert one["ports"] == [{"name": "http1", "containerPort": 8080, "protocol": "TCP"}]
    assert spec["traffic"] == [
        {"latestRevision": True, "percent": 100},
        {"latestRevision": True, "percent": 0, "tag": "new"},
    ]


def test_fields_that_no_schema_has_are_dropped(home: Home) -> None:
    made = home.create(SERVICES, home.make_service("lean", spec={"nonsense": 1}, container={"lifecycle": {}}))
    spec = made["spec"]["template"]["spec"]
    assert "nonsense" not in spec
    assert "lifecycle" not in spec["containers"][0]


def test_nulls_of_go_clients_change_nothing(home: Home) -> None:
    service = home.serve("hello")
    service["spec"]["template"]["metadata"]["creationTimestamp"] = None
    service["metadata"]["creationTimestamp"] = None
    changed = answered(home.put(SERVICES, service), 200)
    assert changed["metadata"]["generation"] == 1
    assert home.normal(changed["spec"]["template"]) == TEMPLATE


def test_only_a_template_change_makes_a_revision(home: Home) -> None:
    home.serve("hello")
    answered(home.patch(SERVICES, "hello", {"metadata": {"labels": {"colour": "blue"}}}), 200)
    changed = home.await_ready(SERVICES, "hello")
    assert changed["metadata"]["generation"] == 1
    patch = {"spec": {"template": {"spec": {"timeoutSeconds": 60}}}}
    answered(home.patch(SERVICES, "hello", patch), 200)
    changed = home.await_ready(SERVICES, "hello")
    assert changed["metadata"]["generation"] == 2
    assert changed["status"]["latestReadyRevisionName"] == "hello-00002"
    assert sorted(home.names(REVISIONS)) == ["hello-00001", "hello-00002"]
