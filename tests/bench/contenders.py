"""What is measured beside ours on a cluster, each as a Knative Service: stock MLflow as installed and tuned, and a
hello-world, which is the floor: no Service of this cluster wakes sooner.
"""

import json
from dataclasses import dataclass
from typing import Any

from bigpanda_laptop.deploy import NAMESPACE
from support.real_cluster import Target, apply, kubectl

DATABASE = "sqlite:////tmp/stock.db"
SCALING = "autoscaling.knative.dev"


@dataclass(frozen=True)
class Contender:
    """A Service of the benchmark's namespace."""

    name: str
    namespace: str
    words: str

    def host(self, target: Target) -> str:
        return target.host(self.name, self.namespace)


OURS = Contender("task-30456789", NAMESPACE, "ours")
SPACE = "bigpanda-mlflow-bench"
DEFAULT = Contender("stock-default", SPACE, "`mlflow server` as installed")
TUNED = Contender("stock-tuned", SPACE, "`mlflow server` tuned: one worker, no jobs")
HELLO = Contender("hello", SPACE, "hello-world")


def apply_contenders(stock: str, hello: str) -> None:
    """All of them, asleep."""
    apply(
        make_service(DEFAULT.name, make_stock(stock)),
        make_service(TUNED.name, make_stock(stock, "--workers", "1")),
        make_service(HELLO.name, {"image": hello}),
    )
    kubectl("-n", SPACE, "wait", "ksvc", "--all", "--for=condition=Ready", "--timeout=180s")


def make_stock(image: str, *arguments: str) -> dict[str, Any]:
    """The container of a stock server over its own copy of the database; `arguments` make it the tuned one."""
    server = ["mlflow", "server", "--host", "0.0.0.0", "--port", "8080", "--allowed-hosts", "*"]
    command = " ".join(["cp /srv/stock.db /tmp &&", "exec", *server, "--backend-store-uri", DATABASE, *arguments])
    environment = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    if arguments:
        environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    return {
        "image": image,
        "command": ["sh", "-c", command.replace("*", "'*'")],
        "ports": [{"containerPort": 8080}],
        "env": [{"name": name, "value": value} for name, value in environment.items()],
        "readinessProbe": {"httpGet": {"path": "/health"}},
    }


def make_service(name: str, container: dict[str, Any], scale: str = "0") -> dict[str, Any]:
    """A Knative Service that sleeps soon."""
    annotations = {f"{SCALING}/initial-scale": scale, f"{SCALING}/window": "6s", f"{SCALING}/max-scale": "1"}
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": SPACE},
        "spec": {
            "template": {
                "metadata": {"annotations": annotations},
                "spec": {"enableServiceLinks": False, "timeoutSeconds": 300, "containers": [container]},
            }
        },
    }


def pods_of(contender: Contender) -> list[str]:
    """Names of its Pods, those that are still ending included."""
    selector = f"serving.knative.dev/service={contender.name}"
    found = json.loads(kubectl("-n", contender.namespace, "get", "pods", "-l", selector, "-o", "json"))["items"]
    return [pod["metadata"]["name"] for pod in found]


def memory_of(contender: Contender) -> float:
    """Proportional set size of all processes in its Pod's own container, in 10^6 bytes."""
    (pod,) = pods_of(contender)[:1]
    script = "cat /proc/[0-9]*/smaps_rollup 2>/dev/null | grep ^Pss: || true"
    spec = json.loads(kubectl("-n", contender.namespace, "get", "pod", pod, "-o", "json"))["spec"]
    name = next(one["name"] for one in spec["containers"] if one["name"] != "queue-proxy")
    lines = kubectl("-n", contender.namespace, "exec", pod, "-c", name, "--", "sh", "-c", script).splitlines()
    return sum(int(line.split()[1]) for line in lines) * 1024 / 1e6
