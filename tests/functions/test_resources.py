import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bigpanda_mlflow.resources import make_service, renew_service
from bigpanda_mlflow.settings import Settings
from support.builders import ENVIRONMENT, NOW, SETTINGS, TASK, hours, visualize_event

LABELS = {"app.kubernetes.io/managed-by": "bigpanda-mlflow", "bigpanda.cern.ch/jeditaskid": str(TASK)}
OWNERS = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=50)


def test_the_whole_service() -> None:
    event = visualize_event(objective={"metric": "val_loss", "direction": "minimize"})
    assert make_service(event, SETTINGS) == {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {
            "name": "task-30456789",
            "namespace": "bigpanda",
            "labels": LABELS,
            "annotations": {
                "bigpanda.cern.ch/owner": "alice",
                "bigpanda.cern.ch/expires-at": "2026-11-24T12:00:00Z",
                "bigpanda.cern.ch/event-time": "2026-11-23T12:00:00Z",
                "bigpanda.cern.ch/event-id": "e1",
                "bigpanda.cern.ch/artifacts": '["s3://panda/hpo/30456789/"]',
                "bigpanda.cern.ch/objective": '{"metric":"val_loss","direction":"minimize"}',
            },
        },
        "spec": {
            "template": {
                "metadata": {
                    "labels": LABELS,
                    "annotations": {
                        "autoscaling.knative.dev/min-scale": "0",
                        "autoscaling.knative.dev/max-scale": "1",
                        "autoscaling.knative.dev/initial-scale": "0",
                        "autoscaling.knative.dev/window": "60s",
                    },
                },
                "spec": {
                    "automountServiceAccountToken": False,
                    "enableServiceLinks": False,
                    "timeoutSeconds": 300,
                    "containerConcurrency": 0,
                    "containers": [
                        {
                            "name": "mlflow",
                            "image": "registry.example/bigpanda-mlflow/mlflow@sha256:" + "0" * 64,
                            "ports": [{"name": "http1", "containerPort": 8080}],
                            "env": [
                                {"name": "BIGPANDA_JEDITASKID", "value": "30456789"},
                                {"name": "BIGPANDA_SNAPSHOT_STORE", "value": "s3://snapshots/hpo"},
                                {"name": "BIGPANDA_PUBLIC_URL", "value": "https://task-30456789.mlflow.example"},
                            ],
                            "envFrom": [{"secretRef": {"name": "bigpanda-mlflow-page"}}],
                            "readinessProbe": {"httpGet": {"path": "/health"}},
                            "resources": {
                                "requests": {"cpu": "10m", "memory": "192Mi"},
                                "limits": {"memory": "768Mi"},
                            },
                            "securityContext": {
                                "allowPrivilegeEscalation": False,
                                "capabilities": {"drop": ["ALL"]},
                                "readOnlyRootFilesystem": True,
                                "runAsNonRoot": True,
                                "seccompProfile": {"type": "RuntimeDefault"},
                            },
                            "volumeMounts": [{"name": "scratch", "mountPath": "/tmp"}],
                        }
                    ],
                    "volumes": [{"name": "scratch", "emptyDir": {}}],
                },
            }
        },
    }


def test_prewarm_starts_the_first_pod() -> None:
    [scale] = _values(make_service(visualize_event(prewarm=True), SETTINGS), "autoscaling.knative.dev/initial-scale")
    assert scale == "1"


def test_credentials_that_rotate_are_files_of_a_secret_and_nothing_more() -> None:
    plain = make_service(visualize_event(), SETTINGS)["spec"]["template"]["spec"]
    settings = Settings.from_environment({**ENVIRONMENT, "BIGPANDA_PAGE_FILES": "page-files"})
    pod = make_service(visualize_event(), settings)["spec"]["template"]["spec"]
    assert pod["volumes"] == [*plain["volumes"], {"name": "credentials", "secret": {"secretName": "page-files"}}]
    mount = {"name": "credentials", "mountPath": "/etc/bigpanda/credentials", "readOnly": True}
    assert pod["containers"] == [
        {**plain["containers"][0], "volumeMounts": [*plain["containers"][0]["volumeMounts"], mount]}
    ]


@given(OWNERS, st.integers(0, 1000), st.integers(1, 700), st.text(min_size=1, max_size=20))
def test_the_template_never_depends_on_the_event(owner: str, later: int, lifetime: int, identity: str) -> None:
    one = make_service(visualize_event(), SETTINGS)
    event = visualize_event(NOW + hours(later), identity, owner=owner, lifetime=f"PT{lifetime}H")
    assert make_service(event, SETTINGS)["spec"] == one["spec"]
    assert renew_service(one, event) == make_service(event, SETTINGS)


def test_what_others_annotated_survives_a_renewal() -> None:
    one = make_service(visualize_event(), SETTINGS)
    one["metadata"]["annotations"]["serving.knative.dev/creator"] = "bigpanda"
    renewed = renew_service(one, visualize_event(NOW + hours(1), "e2"))
    assert renewed["metadata"]["annotations"]["serving.knative.dev/creator"] == "bigpanda"


@given(OWNERS)
def test_every_annotation_is_text_that_json_can_carry(owner: str) -> None:
    service = make_service(visualize_event(owner=owner), SETTINGS)
    assert json.loads(json.dumps(service)) == service
    assert all(isinstance(value, str) for value in service["metadata"]["annotations"].values())


def _values(thing: Any, key: str) -> list[Any]:
    if isinstance(thing, dict):
        here = [thing[key]] if key in thing else []
        return here + [found for value in thing.values() for found in _values(value, key)]
    return [found for value in thing for found in _values(value, key)] if isinstance(thing, list) else []
