"""The cluster as these functions use it. With `cluster_fleet` the only module that knows the Kubernetes client.

Promises: objects go in and out as plain dicts; every failure is one of this project's errors, with the API server's own
sentence and without its headers; a deletion or change applies to exactly the object that was read, or raises
ClusterConflict.
"""

import json
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import urllib3
from kubernetes import client, config

from bigpanda_mlflow import labels
from bigpanda_mlflow.errors import ClusterConflict, Permanent, Transient
from bigpanda_mlflow.taskservice import Readiness, TaskService, read_readiness, read_service

Resource = dict[str, Any]

TIMEOUT = (3.05, 10)
"""Seconds to connect, to answer."""
PAGE = 500
"""Objects that one request lists."""
_POLL_SECONDS = 0.05
FAILURE_GRACE_SECONDS = 5.0
"""A Service may say False for a moment while its parts appear; a failure that lasts is a failure."""


def connect() -> client.ApiClient:
    """A client with the credentials of the Pod, or else of the current kubeconfig. Raises Transient without either."""
    configuration = client.Configuration()
    try:
        config.load_incluster_config(client_configuration=configuration)
    except config.ConfigException:
        try:
            config.load_kube_config(client_configuration=configuration)
        except config.ConfigException as error:
            raise Transient(f"no credentials for the cluster: {error}") from None
    return open_api(configuration)


def open_api(configuration: client.Configuration) -> client.ApiClient:
    """A client that asks once only, and verifies certificates as kubectl does."""
    configuration.retries = 0  # the broker retries the whole event, from a fresh reading
    api = client.ApiClient(configuration)
    api.rest_client.pool_manager.connection_pool_kw["ssl_context"] = _make_tls_context()
    return api


def _make_tls_context() -> ssl.SSLContext:
    # Python 3.13 began to insist on all of RFC 5280, which the certificates of many a running cluster do not meet (an
    # authority without key usage, say). They are verified as kubectl and Knative themselves verify them. The client's
    # own pool adds the cluster's authority.
    context = urllib3.util.create_urllib3_context()
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


class Cluster:
    """One namespace of one cluster."""

    def __init__(self, api: client.ApiClient, namespace: str) -> None:
        self._custom = client.CustomObjectsApi(api)
        self._core = client.CoreV1Api(api)
        self.api = api
        self.namespace = namespace
        self._services = {
            "group": "serving.knative.dev",
            "version": "v1",
            "namespace": namespace,
            "plural": "services",
            "_request_timeout": TIMEOUT,
        }

    def get_service(self, name: str) -> Resource | None:
        """The Knative Service, or None."""
        with translated():
            found: Resource | None = or_none(
                lambda: self._custom.get_namespaced_custom_object(name=name, **self._services)
            )
            return found

    def create_service(self, service: Resource) -> None:
        """Raises ClusterConflict if one of this name exists."""
        with translated():
            self._custom.create_namespaced_custom_object(body=service, **self._services)

    def replace_service(self, service: Resource) -> Resource:
        """Writes what was read and changed; the Service as it is then. Raises ClusterConflict if it was changed or
        deleted meanwhile.
        """
        with translated():
            written: Resource = self._custom.replace_namespaced_custom_object(
                name=service["metadata"]["name"], body=service, **self._services
            )
            return written

    def delete_service(self, service: TaskService) -> None:
        """Deletes exactly this reading of it. Already gone is done; changed meanwhile raises ClusterConflict."""
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": {"uid": service.uid, "resourceVersion": service.resource_version},
        }
        with translated():
            or_none(
                lambda: self._custom.delete_namespaced_custom_object(name=service.name, body=body, **self._services)
            )

    def task_services(self) -> list[TaskService]:
        """All tasks' Services of the namespace."""
        return [service for item in self.list_services() if (service := read_service(item)) is not None]

    def list_services(self) -> Iterator[Resource]:
        """All Services that these functions made, a page of them in memory at a time."""
        selector = f"{labels.MANAGED_BY}={labels.MANAGED_BY_US}"
        return listed(
            lambda token: self._custom.list_namespaced_custom_object(
                label_selector=selector, limit=PAGE, _continue=token, **self._services
            )
        )

    def wait_until_ready(self, name: str, seconds: float) -> Readiness:
        """The Service's readiness once it is True, lastingly False, or the time is up. Raises ClusterConflict if it is
        gone.
        """
        started = time.monotonic()
        while True:
            service = self.get_service(name)
            if service is None:
                raise ClusterConflict(f"{name} was deleted while it became ready")
            readiness, waited = read_readiness(service), time.monotonic() - started
            failed = readiness.status == "False" and waited >= min(FAILURE_GRACE_SECONDS, seconds)
            if readiness.status == "True" or failed or waited >= seconds:
                return readiness
            time.sleep(_POLL_SECONDS)

    def get_tombstones(self) -> dict[str, str]:
        """The data of the ConfigMap of tombstones; empty before the first one."""
        return self._get_data(labels.TOMBSTONES)

    def change_tombstones(self, change: Callable[[Mapping[str, str]], dict[str, str]]) -> None:
        """Applies a pure change to the tombstones as they are. Raises ClusterConflict when somebody was quicker."""
        self._change_data(labels.TOMBSTONES, change)

    def get_rollouts(self) -> dict[str, str]:
        """The data of the ConfigMap of rollouts; empty before the first one."""
        return self._get_data(labels.ROLLOUTS)

    def change_rollouts(self, change: Callable[[Mapping[str, str]], dict[str, str]]) -> dict[str, str]:
        """Applies a pure change to the rollouts as they are, and gives what they are then. Raises ClusterConflict when
        somebody was quicker.
        """
        return self._change_data(labels.ROLLOUTS, change)

    def _get_data(self, name: str) -> dict[str, str]:
        with translated():
            found = self._read_map(name)
        return {} if found is None else dict(found.data or {})

    def _change_data(self, name: str, change: Callable[[Mapping[str, str]], dict[str, str]]) -> dict[str, str]:
        with translated():
            found = self._read_map(name)
            data = {} if found is None else dict(found.data or {})
            changed = change(data)
            if changed == data:
                return data
            if found is None:
                self._create_map(name, changed)
            else:
                found.data = changed
                self._core.replace_namespaced_config_map(name, self.namespace, found, _request_timeout=TIMEOUT)
            return changed

    def _read_map(self, name: str) -> Any:
        return or_none(lambda: self._core.read_namespaced_config_map(name, self.namespace, _request_timeout=TIMEOUT))

    def _create_map(self, name: str, data: dict[str, str]) -> None:
        metadata = {"name": name, "labels": {labels.MANAGED_BY: labels.MANAGED_BY_US}}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
        self._core.create_namespaced_config_map(self.namespace, body, _request_timeout=TIMEOUT)


def listed(list_page: Callable[[str | None], Any]) -> Iterator[Resource]:
    """The objects of a list that is read page by page, one page in memory at a time; `list_page` takes the token of the
    next one.
    """
    token = None
    while True:
        with translated():
            page = list_page(token)
        yield from page["items"]
        token = page["metadata"].get("continue")
        if not token:
            return
        del page  # or it would stay until the next one is there


def or_none(call: Callable[[], Any]) -> Any:
    """What `call` gives, or None where there is no such object."""
    try:
        return call()
    except client.ApiException as error:
        if error.status == 404:
            return None
        raise


@contextmanager
def translated() -> Iterator[None]:
    """The client's errors inside become this project's."""
    try:
        yield
    except client.ApiException as error:
        sentence = _sentence(error)
        # 404 of a write: it was deleted since it was read.
        if error.status in {404, 409}:
            raise ClusterConflict(sentence) from None
        if error.status in {400, 422}:
            raise Permanent(f"the cluster refuses it: {sentence}") from None
        if error.status == 403:
            # The deployment's fault, not the event's: given up at once, it would be lost for a Role that is one verb
            # short; delivered again, it is carried out as soon as somebody has given the right. The API server's
            # sentence names account, verb and resource.
            raise Transient(f"the cluster forbids it, until an operator allows it: {sentence}") from None
        raise Transient(f"the cluster's API answered {error.status}: {sentence}") from None
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise Transient(f"the cluster's API cannot be reached ({_cause(error)})") from None


def _cause(error: Exception) -> str:
    # The kind of a fault is enough, but for a certificate: that is for an operator to put right.
    reason = getattr(error, "reason", None) or error
    cause = reason.args[0] if reason.args else reason
    return str(cause.verify_message if isinstance(cause, ssl.SSLCertVerificationError) else type(reason).__name__)


def _sentence(error: Any) -> str:
    try:
        return str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        return str(error.reason)
