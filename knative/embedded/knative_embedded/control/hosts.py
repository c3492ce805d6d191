"""Hosts and URLs of Services, Routes and Brokers: one home for the naming rules. Pure.

Sources: Knative's config-network domain template `{{.Name}}.{{.Namespace}}.{{.Domain}}` and tag template
`{{.Tag}}-{{.Name}}`; the cluster-local name `<name>.<namespace>.svc.cluster.local`.
"""

import dataclasses

from knative_embedded import labels
from knative_embedded.objects import Object, labels_of, name_of, namespace_of


@dataclasses.dataclass(frozen=True)
class Addresses:
    """Under which domain and ports this runtime is reached."""

    domain: str
    ingress_port: int
    internal_port: int

    def public_url(self, label: str, namespace: str) -> str:
        """The URL at the ingress; port 80 is not written."""
        port = "" if self.ingress_port == 80 else f":{self.ingress_port}"
        return f"http://{label}.{namespace}.{self.domain}{port}"

    def broker_url(self, namespace: str, name: str) -> str:
        """Where events for a Broker are posted."""
        return f"http://127.0.0.1:{self.internal_port}/{namespace}/{name}"


def local_url(label: str, namespace: str) -> str:
    """The cluster-local URL."""
    return f"http://{label}.{namespace}.svc.{labels.CLUSTER_DOMAIN}"


def is_cluster_local(thing: Object) -> bool:
    """Whether only the internal listener may serve it."""
    return labels_of(thing).get(labels.VISIBILITY) == labels.CLUSTER_LOCAL


def route_url(addresses: Addresses, route: Object, tag: str = "") -> str:
    """The URL of a Route, or of one of its tags."""
    label = f"{tag}-{name_of(route)}" if tag else name_of(route)
    if is_cluster_local(route):
        return local_url(label, namespace_of(route))
    return addresses.public_url(label, namespace_of(route))
