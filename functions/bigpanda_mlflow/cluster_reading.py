"""The cluster as an operator looks at it: by her own kubeconfig, reading only.

With `cluster.py` one of the modules that know the Kubernetes client, and with its promises.
"""

from collections.abc import Iterator
from typing import Any, Final

from kubernetes import client, config

from bigpanda_mlflow import labels
from bigpanda_mlflow.cluster import PAGE, TIMEOUT, Cluster, Resource, listed, open_api, or_none, translated
from bigpanda_mlflow.errors import Transient

_NAMESPACE: Final = "bigpanda"


def open_reader(kubeconfig: str | None, context: str | None, namespace: str | None) -> "ClusterReader":
    """A reader with the credentials of a kubeconfig (several: colons between them; None: the one in the home folder)
    and context (None: the current one).

    Without `namespace` it is the context's, and `bigpanda` where that names none. Raises Transient where there is no
    usable kubeconfig or context.
    """
    configuration = client.Configuration()
    try:
        config.load_kube_config(kubeconfig, context=context, client_configuration=configuration)
        contexts, current = config.list_kube_config_contexts(kubeconfig)
    except (config.ConfigException, OSError) as error:
        raise Transient(f"no credentials for the cluster: {error}") from None
    chosen = current if context is None else next(one for one in contexts if one["name"] == context)
    own = chosen["context"].get("namespace", "default")
    return ClusterReader(open_api(configuration), namespace or (own if own != "default" else _NAMESPACE))


class ClusterReader(Cluster):
    """One namespace of one cluster."""

    def close(self) -> None:
        """Let go of all connections."""
        self.api.close()

    def list_revisions(self, service: str | None = None) -> Iterator[Resource]:
        """The Revisions of a Service, or of all."""
        selector = labels.REVISION_OF if service is None else f"{labels.REVISION_OF}={service}"
        where = {**self._services, "plural": "revisions", "label_selector": selector, "limit": PAGE}
        return listed(lambda token: self._custom.list_namespaced_custom_object(_continue=token, **where))

    def get_config_map(self, name: str) -> dict[str, str]:
        """Its data; empty where there is none."""
        return self._get_data(name)

    def get_secret(self, name: str) -> dict[str, str]:
        """Its data in base64, as the API gives it; empty where there is none."""
        with translated():
            found = or_none(lambda: self._core.read_namespaced_secret(name, self.namespace, _request_timeout=TIMEOUT))
        return {} if found is None else dict(found.data or {})

    def read_log(self, service: str, lines: int) -> list[str]:
        """The last lines of what a Service's pods have written; nothing of pods that are gone."""
        selector = f"{labels.REVISION_OF}={service}"
        with translated():
            pods = self._core.list_namespaced_pod(self.namespace, label_selector=selector, _request_timeout=TIMEOUT)
        return [line for pod in pods.items for line in self._read_pod_log(pod, lines)]

    def _read_pod_log(self, pod: Any, lines: int) -> list[str]:
        name, container = pod.metadata.name, pod.spec.containers[0].name
        options = {"container": container, "tail_lines": lines, "_request_timeout": TIMEOUT}
        with translated():
            text = or_none(lambda: self._core.read_namespaced_pod_log(name, self.namespace, **options))
        return [] if text is None else str(text).splitlines()
