"""A real API server for the handlers' tests, and a broker that only listens."""

from collections.abc import Iterator

import pytest
from kubernetes import config

from bigpanda_mlflow.cluster import Cluster
from bigpanda_mlflow.context import Context
from bigpanda_mlflow.settings import Settings
from embedded.kit import Cluster as Runtime
from embedded.kit import write_images
from support.builders import ENVIRONMENT
from support.scenes import Clock
from support.sink import Sink


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    root = tmp_path_factory.mktemp("handlers")
    with Runtime(root / "state", write_images(root)) as found:
        found.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "bigpanda"}})
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "bigpanda-mlflow-page"}}
        found.create("/api/v1/namespaces/bigpanda/secrets", secret)
        yield found


@pytest.fixture
def sink() -> Iterator[Sink]:
    found = Sink()
    yield found
    found.close()


@pytest.fixture
def context(runtime: Runtime, sink: Sink) -> Iterator[Context]:
    api = config.new_client_from_config(str(runtime.endpoints["kubeconfig"]))
    settings = Settings.from_environment({**ENVIRONMENT, "BIGPANDA_MLFLOW_IMAGE": "test/echo", "K_SINK": sink.url})
    cluster = Cluster(api, "bigpanda")
    yield Context(cluster, settings, Clock())
    for service in cluster.task_services():
        cluster.delete_service(service)
    cluster.change_tombstones(lambda _: {})
    api.close()
