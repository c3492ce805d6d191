"""A real S3 server inside the cluster, with the sample task's tarballs in it."""

import contextlib
import secrets
from collections.abc import Iterable, Iterator
from typing import Any

from bigpanda_laptop.s3 import REGION
from bigpanda_laptop.sample import TASK, Storage
from support.real_cluster import apply, kubectl, port_forwarded, temporary_namespace

NAMESPACE = "bigpanda-mlflow-s3"
PORT = 9000


@contextlib.contextmanager
def s3_in_cluster(image: str, tasks: Iterable[int] = (TASK,)) -> Iterator[dict[str, str]]:
    """The environment by which Pods reach it; each task has the sample. All in memory, gone afterwards."""
    key, secret = secrets.token_hex(10).upper(), secrets.token_urlsafe(30)
    with temporary_namespace(NAMESPACE):
        apply(*_make_server(image, f'"{key},{secret}"'))
        kubectl("-n", NAMESPACE, "rollout", "status", "deployment/s3", "--timeout=180s")
        inside = {
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_ENDPOINT_URL_S3": f"http://s3.{NAMESPACE}.svc.cluster.local:{PORT}",
            "AWS_REGION": REGION,
            "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
        }
        with port_forwarded(NAMESPACE, "service/s3", PORT) as address:
            storage = Storage({**inside, "AWS_ENDPOINT_URL_S3": address})
            for task in tasks:
                storage.load(task)
        yield inside


def _make_server(image: str, auth: str) -> list[dict[str, Any]]:
    labels = {"app": "s3"}
    container = {
        "name": "s3",
        "image": image,
        "env": [{"name": "RCLONE_AUTH_KEY", "valueFrom": {"secretKeyRef": {"name": "s3", "key": "auth"}}}],
        "ports": [{"containerPort": PORT}],
        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [container], "volumes": [{"name": "data", "emptyDir": {}}]},
    }
    metadata = {"name": "s3", "namespace": NAMESPACE}
    return [
        {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"auth": auth}},
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": labels, "ports": [{"port": PORT}]},
        },
    ]
