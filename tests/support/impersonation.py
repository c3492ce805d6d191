"""A namespace of a real cluster in which the functions' ServiceAccounts have their Roles, and may lose a right.

Handlers run in the tests' process, with a client that says on whose behalf it asks (`Impersonate-User`): the real API
server decides as it would for a Pod with that account's token.
"""

import contextlib
import copy
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kubernetes import client

from bigpanda_mlflow import labels
from support.cluster_calls import Call
from support.laptop import until
from support.manifests import Resource, of_kind
from support.real_cluster import SECONDS, apply, connect, disconnect, moved

_KINDS = ("Namespace", "ServiceAccount", "Role", "RoleBinding", "ConfigMap", "Lease")


def rights_of(role: Resource) -> set[Call]:
    """What a Role allows, one right a verb."""
    return {
        Call(group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


@dataclass
class Accounts:
    """The functions' accounts in a namespace of their own, as `objects` make them."""

    objects: tuple[Resource, ...]
    namespace: str = field(default_factory=lambda: f"rights-{secrets.token_hex(4)}")

    def __post_init__(self) -> None:
        self.admin = connect()
        self._clients: dict[str, client.ApiClient] = {}
        apply(*moved(self.objects, self.namespace, _KINDS))
        for function, role in self.roles().items():
            for right in rights_of(role):
                self._wait(function, right, allowed=True)

    def close(self) -> None:
        client.CoreV1Api(self.admin).delete_namespace(self.namespace)
        for api in (*self._clients.values(), self.admin):
            disconnect(api)

    def roles(self) -> Mapping[str, Resource]:
        """The Roles as rendered, by function."""
        return of_kind(self.objects, "Role")

    def client(self, function: str) -> client.ApiClient:
        if function not in self._clients:
            self._clients[function] = connect(f"{self.namespace}:{function}")
        return self._clients[function]

    def may(self, function: str, right: Call) -> bool:
        """What the authorizer says to the function itself."""
        attributes: dict[str, Any] = {"namespace": self.namespace, "verb": right.verb, "group": right.group}
        attributes |= {"resource": right.resource}
        if right.resource in {"configmaps", "leases"} and right.verb in {"get", "update", "patch", "delete"}:
            attributes["name"] = self._name(function, right)
        review = {"spec": {"resourceAttributes": attributes}}
        answer = client.AuthorizationV1Api(self.client(function)).create_self_subject_access_review(review)
        return bool(answer.status.allowed)

    def _name(self, function: str, right: Call) -> str:
        """The object that the right is for; any of ours where there is no such right."""
        rules = self.roles()[function]["rules"]
        named = [rule for rule in rules if right.resource in rule["resources"] and right.verb in rule["verbs"]]
        return str(named[0]["resourceNames"][0]) if named else labels.TOMBSTONES

    @contextlib.contextmanager
    def without(self, function: str, right: Call) -> Iterator[None]:
        """The function's Role lacks one verb, as the authorizer knows, until the end."""
        rules = self.roles()[function]["rules"]
        self._write(function, [rule for rule in (_reduced(rule, right) for rule in rules) if rule["verbs"]])
        try:
            self._wait(function, right, allowed=False)
            yield
        finally:
            self._write(function, rules)
            self._wait(function, right, allowed=True)

    def _write(self, function: str, rules: list[Resource]) -> None:
        client.RbacAuthorizationV1Api(self.admin).patch_namespaced_role(
            function, self.namespace, {"rules": rules}, _content_type="application/merge-patch+json"
        )

    def _wait(self, function: str, right: Call, *, allowed: bool) -> None:
        sentence = f"that {function} {'may' if allowed else 'may not'} {right.verb} {right.resource}"
        until(lambda: self.may(function, right) == allowed, SECONDS, sentence)


def _reduced(rule: Resource, right: Call) -> Resource:
    reduced = copy.deepcopy(rule)
    if right.group in rule["apiGroups"] and right.resource in rule["resources"]:
        reduced["verbs"] = [verb for verb in rule["verbs"] if verb != right.verb]
    return reduced
