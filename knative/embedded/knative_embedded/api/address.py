"""Request paths of the Kubernetes API: `/apis/<group>/<version>/namespaces/<ns>/<plural>/<name>/<part>`. Pure."""

import dataclasses
from urllib.parse import unquote

from knative_embedded.kinds import NAMESPACE, Kind, find_kind


@dataclasses.dataclass(frozen=True)
class Address:
    """What a path names: a collection when `name` is empty."""

    kind: Kind
    namespace: str = ""
    name: str = ""
    subresource: str = ""


def parse_address(path: str) -> Address | None:
    """The address of a resource path; None for every other path."""
    parts = [unquote(part) for part in path.strip("/").split("/")]
    if parts[0] == "api" and len(parts) > 2:
        return _parse_resource("", parts[1], parts[2:])
    if parts[0] == "apis" and len(parts) > 3:
        return _parse_resource(parts[1], parts[2], parts[3:])
    return None


def _parse_resource(group: str, version: str, rest: list[str]) -> Address | None:
    if not group and rest[0] == "namespaces" and len(rest) <= 2:
        return Address(NAMESPACE, "", *rest[1:])
    if not group and rest[0] == "namespaces" and rest[2] in {"status", "finalize"}:
        return Address(NAMESPACE, "", rest[1], rest[2])
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    kind = find_kind(group, version, rest[0])
    if kind is None or len(rest) > 3 or not all(rest) or (bool(namespace) and not kind.namespaced):
        return None
    if kind.namespaced and not namespace and len(rest) > 1:
        return None
    return Address(kind, namespace, *rest[1:])
