"""From a request to look at a task to the Knative Service that shows it: a pure function, the whole object in one
place.

Promises: the Pod template depends on the task and the deployment only, never on the event, so that asking again changes
annotations of the Service but makes no new Revision; credentials appear by reference only.

The container-level security context is the whole of Kubernetes' "restricted" profile: Knative refuses the Pod-level one
unless a feature flag is set. The numbers of `RESOURCES` were measured on an awake page (see README, "Measured").
"""

import json
from typing import Any

from bigpanda_mlflow import labels
from bigpanda_mlflow.events import Event, Visualize
from bigpanda_mlflow.names import page_url, service_name
from bigpanda_mlflow.settings import Settings
from bigpanda_mlflow.times import format_time
from mlflow_on_demand.settings import ServerSettings

Resource = dict[str, Any]

RESOURCES = {
    "requests": {"cpu": "10m", "memory": "192Mi"},  # small, as an awake page hardly works: many fit on a node
    "limits": {"memory": "768Mi"},  # no CPU limit: a wake is one burst of CPU, and a throttled wake is a slow page
}
CREDENTIALS_PATH = "/etc/bigpanda/credentials"
REQUEST_SECONDS = 300
"""Knative's default and, without a first byte, also its effective maximum."""


def make_service(event: Event[Visualize], settings: Settings) -> Resource:
    """The Service of the event's task, complete."""
    task = event.data.jeditaskid
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {
            "name": service_name(task),
            "namespace": settings.namespace,
            "labels": _labels(task),
            "annotations": make_annotations(event),
        },
        "spec": {
            "template": {
                "metadata": {"labels": _labels(task), "annotations": _scaling(event.data.prewarm, settings)},
                "spec": _make_pod(task, settings),
            }
        },
    }


def make_annotations(event: Event[Visualize]) -> dict[str, str]:
    """What the Service remembers of the newest event."""
    data = event.data
    annotations = {
        labels.OWNER: data.owner,
        labels.EXPIRES_AT: format_time(event.key.time + data.lifetime),
        labels.EVENT_TIME: format_time(event.key.time),
        labels.EVENT_ID: event.key.id,
        labels.ARTIFACTS: json.dumps(data.artifacts),
    }
    if data.objective is not None:
        annotations[labels.OBJECTIVE] = data.objective.model_dump_json()
    if data.max_points is not None:
        annotations[labels.MAX_POINTS] = str(data.max_points)
    return annotations


def renew_service(service: Resource, event: Event[Visualize]) -> Resource:
    """`service` as read from the cluster, with its annotations those of a newer event and nothing else changed."""
    metadata = service["metadata"]
    optional = {labels.OBJECTIVE, labels.MAX_POINTS}
    kept = {key: value for key, value in metadata.get("annotations", {}).items() if key not in optional}
    return {**service, "metadata": {**metadata, "annotations": {**kept, **make_annotations(event)}}}


def _labels(jeditaskid: int) -> dict[str, str]:
    return {labels.MANAGED_BY: labels.MANAGED_BY_US, labels.JEDITASKID: str(jeditaskid)}


def _scaling(prewarm: bool, settings: Settings) -> dict[str, str]:  # noqa: FBT001 (a field of the event)
    return {
        labels.MIN_SCALE: "0",
        labels.MAX_SCALE: "1",  # one page, one database file: a second pod would only wake a second time
        labels.INITIAL_SCALE: "1" if prewarm else "0",
        labels.WINDOW: settings.idle_window,
    }


def _make_pod(jeditaskid: int, settings: Settings) -> Resource:
    server = ServerSettings(
        jeditaskid=jeditaskid,
        snapshot_store=settings.snapshot_store,
        public_url=page_url(settings.page_url, jeditaskid),
    )
    mounts: list[Resource] = [{"name": "scratch", "mountPath": "/tmp"}]  # noqa: S108 (a path in the container)
    volumes: list[Resource] = [{"name": "scratch", "emptyDir": {}}]
    if settings.page_files is not None:
        mounts.append({"name": "credentials", "mountPath": CREDENTIALS_PATH, "readOnly": True})
        volumes.append({"name": "credentials", "secret": {"secretName": settings.page_files}})
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,  # a variable per Service of the namespace: cold starts would grow with the fleet
        "timeoutSeconds": REQUEST_SECONDS,
        "containerConcurrency": 0,
        "containers": [
            {
                "name": "mlflow",
                "image": settings.mlflow_image,
                "ports": [{"name": "http1", "containerPort": 8080}],
                "env": [{"name": name, "value": value} for name, value in server.to_env().items()],
                "envFrom": [{"secretRef": {"name": settings.page_secret}}],
                # Without a period, Knative asks each 50 ms until it passes: no wake waits for the next full second.
                "readinessProbe": {"httpGet": {"path": "/health"}},
                "resources": RESOURCES,
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                    "readOnlyRootFilesystem": True,
                    "runAsNonRoot": True,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "volumeMounts": mounts,
            }
        ],
        "volumes": volumes,
    }
