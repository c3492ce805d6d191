"""What clients read first: version, groups, resources, and an OpenAPI document that sends validation to the server.

The OpenAPI documents hold no schemas: kubectl skips a kind that it does not find there, and where it sees that PATCH
takes `fieldValidation` it leaves validation to the server (kubectl pkg/validation, k8s.io/cli-runtime pkg/resource).
"""

from typing import Any

from knative_embedded.kinds import KINDS, Kind
from knative_embedded.objects import Object

GROUPS = sorted({(kind.group, kind.version) for kind in KINDS})
_WRITE_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]


def make_version() -> Object:
    """/version: the Kubernetes release whose behaviour is followed."""
    return {
        "major": "1",
        "minor": "34",
        "gitVersion": "v1.34.0+knative-embedded",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "",
        "platform": "",
    }


def make_core_versions() -> Object:
    """/api."""
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1"}],
    }


def make_group(group: str, version: str) -> Object:
    """/apis/<group>, and one entry of /apis."""
    preferred = {"groupVersion": f"{group}/{version}", "version": version}
    return {"name": group, "versions": [preferred], "preferredVersion": preferred}


def make_group_list() -> Object:
    """/apis."""
    groups = [make_group(group, version) for group, version in GROUPS if group]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def make_resource_list(group: str, version: str) -> Object | None:
    """/api/v1 or /apis/<group>/<version>; None for a group that is not served."""
    served = [kind for kind in KINDS if (kind.group, kind.version) == (group, version)]
    if not served:
        return None
    resources = [entry for kind in served for entry in _resource_entries(kind)]
    name = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": resources}


def _resource_entries(kind: Kind) -> list[Object]:
    entry: dict[str, Any] = {
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": ["get", "list", "watch"] if kind.read_only else _WRITE_VERBS,
    }
    if kind.short_names:
        entry["shortNames"] = list(kind.short_names)
    if kind.categories:
        entry["categories"] = list(kind.categories)
    entries = [entry]
    subresources = (["status"] if kind.has_status else []) + (["log"] if kind.plural == "pods" else [])
    for name in subresources:
        verbs = ["get"] if name == "log" else ["get", "patch", "update"]
        part = {"name": f"{kind.plural}/{name}", "singularName": "", "namespaced": kind.namespaced, "kind": kind.kind}
        entries.append(part | {"verbs": verbs})
    return entries


def make_openapi_index() -> Object:
    """/openapi/v3: one document for each group and version."""
    paths = [f"apis/{group}/{version}" if group else f"api/{version}" for group, version in GROUPS]
    return {"paths": {path: {"serverRelativeURL": f"/openapi/v3/{path}?hash=1"} for path in paths}}


def make_openapi_document(group: str, version: str) -> Object:
    """One group's document: which kinds can be patched, with which query parameters."""
    paths: dict[str, Any] = {}
    for kind in KINDS:
        if (kind.group, kind.version) != (group, version) or kind.read_only:
            continue
        root = f"/apis/{group}/{version}" if group else f"/api/{version}"
        scope = "/namespaces/{namespace}" if kind.namespaced else ""
        parameters = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in _PATCH_PARAMETERS]
        identity = {"group": kind.group, "version": kind.version, "kind": kind.kind}
        patch = {"parameters": parameters, "x-kubernetes-action": "patch", "x-kubernetes-group-version-kind": identity}
        patch["responses"] = {"200": {"description": "OK"}}
        paths[f"{root}{scope}/{kind.plural}/{{name}}"] = {"patch": patch}
    info = {"title": "Kubernetes", "version": "v1.34.0"}
    return {"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": {}}}


_PATCH_PARAMETERS = ("dryRun", "fieldManager", "fieldValidation", "force")


def make_openapi_v2() -> Object:
    """/openapi/v2 for older clients: valid, and silent about every kind."""
    return {"swagger": "2.0", "info": {"title": "Kubernetes", "version": "v1.34.0"}, "paths": {}, "definitions": {}}


def encode_openapi_v2() -> bytes:
    """The same in protobuf (gnostic openapi.v2.Document), the only form that kubectl asks for."""
    info = _field(1, b"Kubernetes") + _field(2, b"v1.34.0")
    return _field(1, b"2.0") + _field(2, info) + _field(8, b"")


def _field(number: int, payload: bytes) -> bytes:
    """A length-delimited protobuf field shorter than 128 bytes."""
    return bytes([number << 3 | 2, len(payload)]) + payload
