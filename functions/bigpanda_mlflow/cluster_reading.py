"""The cluster as an operator looks at it: by her own kubeconfig, reading only.

Promises: objects come out as plain dicts, None where there is none; every failure is one of this project's errors.
"""

from pathlib import Path
from typing import Any

from kubernetes import client, config

from bigpanda_mlflow import labels
from bigpanda_mlflow.cluster import _PAGE as PAGE
from bigpanda_mlflow.cluster import _TIMEOUT as TIMEOUT
from bigpanda_mlflow.cluster import Cluster, Resource
from bigpanda_mlflow.cluster import _make_tls_context as make_tls_context
from bigpanda_mlflow.cluster import _or_none as or_none
from bigpanda_mlflow.cluster import _translated as translated
from bigpanda_mlflow.errors import Transient

DEFAULT_NAMESPACE = "bigpanda"
_SERVICE = "serving.knative.dev/service"


def open_reader(kubeconfig: Path | None, context: str | None, namespace: str | None) -> "ClusterReader":
    """A reader with the credentials of a kubeconfig (None: kubectl's own) and context (None: the current one).

    Without `namespace` it is the context's, and `bigpanda` where that names none. Raises Transient where there is no
    usable kubeconfig or context.
    """
    file = None if kubeconfig is None else str(kubeconfig)
    configuration = client.Configuration()
    try:
        config.load_kube_config(file, context=context, client_configuration=configuration)
        contexts, current = config.list_kube_config_contexts(file)
    except (config.ConfigException, OSError) as error:
        raise Transient(f"no credentials for the cluster: {error}") from None
    configuration.retries = 0
    api = client.ApiClient(configuration)
    api.rest_client.pool_manager.connection_pool_kw["ssl_context"] = make_tls_context()
    chosen = current if context is None else next(one for one in contexts if one["name"] == context)
    own = chosen["context"].get("namespace", "default")
    return ClusterReader(api, namespace or (own if own != "default" else DEFAULT_NAMESPACE))


class ClusterReader(Cluster):
    """One namespace of one cluster."""

    def __init__(self, api: client.ApiClient, namespace: str) -> None:
        super().__init__(api, namespace)
        self._api = api
        self.namespace = namespace

    def close(self) -> None:
        """Let go of all connections."""
        self._api.close()

    def list_services(self) -> list[Resource]:
        """All tasks' Services, as they are."""
        return self._list("services", f"{labels.MANAGED_BY}={labels.MANAGED_BY_US}")

    def list_revisions(self, service: str) -> list[Resource]:
        """The Revisions of a Service."""
        return self._list("revisions", f"{_SERVICE}={service}")

    def get_config_map(self, name: str) -> dict[str, str] | None:
        """Its data."""
        with translated():
            found = or_none(
                lambda: self._core.read_namespaced_config_map(name, self.namespace, _request_timeout=TIMEOUT)
            )
        return None if found is None else dict(found.data or {})

    def get_secret(self, name: str) -> dict[str, str] | None:
        """Its data in base64, as the API gives it."""
        with translated():
            found = or_none(lambda: self._core.read_namespaced_secret(name, self.namespace, _request_timeout=TIMEOUT))
        return None if found is None else dict(found.data or {})

    def read_log(self, service: str, lines: int) -> list[str]:
        """The last lines of what a Service's pods have written; nothing of pods that are gone."""
        with translated():
            pods = self._core.list_namespaced_pod(
                self.namespace, label_selector=f"{_SERVICE}={service}", _request_timeout=TIMEOUT
            )
        return [line for pod in pods.items for line in self._read_pod_log(pod, lines)]

    def _read_pod_log(self, pod: Any, lines: int) -> list[str]:
        container = pod.spec.containers[0].name
        with translated():
            text = or_none(
                lambda: self._core.read_namespaced_pod_log(
                    pod.metadata.name,
                    self.namespace,
                    container=container,
                    tail_lines=lines,
                    _request_timeout=TIMEOUT,
                )
            )
        return [] if text is None else str(text).splitlines()

    def _list(self, plural: str, selector: str) -> list[Resource]:
        found: list[Resource] = []
        token = None
        where = {**self._services, "plural": plural, "label_selector": selector, "limit": PAGE}
        while True:
            with translated():
                page = self._custom.list_namespaced_custom_object(_continue=token, **where)
            found += page["items"]
            token = page["metadata"].get("continue")
            if not token:
                return found
