"""What a rollout needs of the cluster beyond Services and records: Revisions, and the Lease of whoever takes the steps.

With `cluster.py` the only module that knows the Kubernetes client, and with its promises.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from kubernetes import client

from bigpanda_mlflow import labels
from bigpanda_mlflow.cluster import PAGE, TIMEOUT, Cluster, Resource, listed, or_none, translated
from bigpanda_mlflow.errors import ClusterConflict, Transient
from bigpanda_mlflow.times import format_micro_time, parse_time

LEASE = timedelta(seconds=60)
"""A holder that has said nothing for so long is taken for dead."""


class Fleet:
    """The Revisions of one namespace, and the Lease."""

    def __init__(self, cluster: Cluster) -> None:
        api = client.CustomObjectsApi(cluster.api)
        self._revisions = api
        self._leases = api
        common: dict[str, Any] = {"version": "v1", "namespace": cluster.namespace, "_request_timeout": TIMEOUT}
        self._in_revisions = {**common, "group": "serving.knative.dev", "plural": "revisions"}
        self._in_leases = {**common, "group": "coordination.k8s.io", "plural": "leases"}

    def get_revision(self, name: str) -> Resource | None:
        """The Revision, or None."""
        with translated():
            found: Resource | None = or_none(
                lambda: self._revisions.get_namespaced_custom_object(name=name, **self._in_revisions)
            )
            return found

    def get_image(self, revision: str) -> str | None:
        """The image of that Revision, or None."""
        found = self.get_revision(revision)
        return None if found is None else str(found["spec"]["containers"][0]["image"])

    def list_revisions(self) -> Iterator[Resource]:
        """The Revisions of all pages, some hundreds of them in memory at a time."""
        selector = f"{labels.MANAGED_BY}={labels.MANAGED_BY_US}"
        return listed(
            lambda token: self._revisions.list_namespaced_custom_object(
                label_selector=selector, limit=PAGE, _continue=token, **self._in_revisions
            )
        )

    def revisions_of(self, service: str) -> list[Resource]:
        """The Revisions of one Service, as the API server remembers them: perhaps as of a moment ago, but of a large
        fleet it does not read all from its store to find these few.
        """
        selector = f"{labels.REVISION_OF}={service}"
        with translated():
            found: list[Resource] = self._revisions.list_namespaced_custom_object(
                label_selector=selector, resource_version="0", **self._in_revisions
            )["items"]
            return found

    def delete_revision(self, revision: Resource) -> None:
        """Deletes exactly this one; already gone is done."""
        name, preconditions = revision["metadata"]["name"], {"uid": revision["metadata"]["uid"]}
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": preconditions}
        with translated():
            or_none(lambda: self._revisions.delete_namespaced_custom_object(name=name, body=body, **self._in_revisions))

    def hold_lease(self, holder: str, now: datetime) -> bool:
        """Takes or renews the Lease; False while somebody else holds it, or was quicker to take it."""
        lease = self._get_lease()
        spec = lease.get("spec") or {}
        if spec.get("holderIdentity") not in (None, "", holder) and not _is_over(spec, now):
            return False
        spec = {**spec, "holderIdentity": holder, "renewTime": format_micro_time(now)}
        spec["leaseDurationSeconds"] = int(LEASE.total_seconds())
        return self._write_lease({**lease, "spec": spec})

    def release_lease(self, holder: str) -> None:
        """Gives the Lease up, if it is still this holder's."""
        lease = self._get_lease()
        spec = lease.get("spec") or {}
        if spec.get("holderIdentity") == holder:
            self._write_lease({**lease, "spec": {**spec, "holderIdentity": ""}})

    def _get_lease(self) -> Resource:
        with translated():
            lease: Resource | None = or_none(
                lambda: self._leases.get_namespaced_custom_object(name=labels.ROLLOUTS, **self._in_leases)
            )
        if lease is None:
            raise Transient(f"there is no Lease {labels.ROLLOUTS}: apply this project's manifests")
        return lease

    def _write_lease(self, lease: Resource) -> bool:
        try:
            with translated():
                self._leases.replace_namespaced_custom_object(name=labels.ROLLOUTS, body=lease, **self._in_leases)
        except ClusterConflict:
            return False
        return True


def _is_over(spec: Resource, now: datetime) -> bool:
    try:
        renewed = parse_time(spec["renewTime"])
    except (KeyError, TypeError, ValueError):
        return True
    return renewed + timedelta(seconds=spec.get("leaseDurationSeconds") or 0) <= now
