"""From a Host header to a Revision. Pure.

A host is `<label>.<namespace>.<domain>` outside and `<label>.<namespace>[.svc[.cluster.local]]` inside; the label is a
Route's name, or `<tag>-<name>`. The traffic block then chooses the Revision by tag or by percent.
"""

import dataclasses
from collections.abc import Sequence

from knative_embedded import labels
from knative_embedded.objects import Object, name_of, status_of


@dataclasses.dataclass(frozen=True)
class HostName:
    """The two parts of a host that name a Route."""

    label: str
    namespace: str


def strip_port(host: str) -> str:
    """A Host header without port and final dot, in lower case; `[::1]:80` → `[::1]`."""
    name = host.strip().lower()
    if name.startswith("["):
        return name.partition("]")[0] + "]"
    return name.partition(":")[0].rstrip(".")


def parse_public_host(host: str, domain: str) -> HostName | None:
    """The Route that a host of the ingress names."""
    name, suffix = strip_port(host), f".{domain.lower()}"
    return _parse(name.removesuffix(suffix)) if name.endswith(suffix) else None


def parse_local_host(host: str) -> HostName | None:
    """The Route that a cluster-local host names."""
    name = strip_port(host)
    for suffix in (f".svc.{labels.CLUSTER_DOMAIN}", ".svc"):
        if name.endswith(suffix):
            return _parse(name.removesuffix(suffix))
    return _parse(name)


def _parse(name: str) -> HostName | None:
    parts = name.split(".")
    return HostName(*parts) if len(parts) == 2 and all(parts) and not name.replace(".", "").isdigit() else None


def find_route(label: str, routes: Sequence[Object]) -> tuple[Object, str] | None:
    """The Route of a label and the tag within it: a Route's own name wins over a tag."""
    for route in routes:
        if name_of(route) == label:
            return route, ""
    for route in routes:
        for target in status_of(route).get("traffic") or []:
            if target.get("tag") and label == f"{target['tag']}-{name_of(route)}":
                return route, str(target["tag"])
    return None


def pick_revision(route: Object, tag: str, draw: float) -> str | None:
    """The Revision for one request: that of the tag, else by percent with `draw` from 0 to below 100."""
    for target in status_of(route).get("traffic") or []:
        if tag:
            if target.get("tag") == tag:
                return str(target["revisionName"])
            continue
        draw -= target.get("percent") or 0
        if draw < 0:
            return str(target["revisionName"])
    return None
