"""The least rights that work, proved on a real cluster: each verb of each Role is taken away in turn.

For every function the real handlers carry out all their scenes with the Role as it is deployed. Without one verb just
those scenes fail that the table names, with 503 and the API server's own sentence, so that an operator knows what to
give; the same event succeeds as soon as the right is back.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Response
from kubernetes import client

from bigpanda_mlflow.cluster import Cluster
from bigpanda_mlflow.context import Context
from bigpanda_mlflow.resources import make_service
from bigpanda_mlflow.settings import Settings
from support.builders import ENVIRONMENT, SETTINGS, visualize_event
from support.cluster_calls import Call
from support.impersonation import Accounts, rights_of
from support.laptop import until
from support.manifests import with_component
from support.real_cluster import SECONDS, connect
from support.rights_scenes import SCENES, Scene, Stage, told
from support.scenes import Clock
from support.sink import Sink

SERVICES = {"group": "serving.knative.dev", "version": "v1", "plural": "services"}
ALL = frozenset({"*"})

# (function, resource, verb): the scenes that fail without it.
TABLE: dict[tuple[str, str, str], frozenset[str]] = {
    ("front", "services", "get"): ALL,
    ("front", "configmaps", "get"): ALL,
    ("visualize", "services", "get"): ALL,
    ("visualize", "services", "create"): frozenset({"a new page", "released while it is made"}),
    ("visualize", "services", "update"): frozenset({"asked again"}),
    ("visualize", "services", "delete"): frozenset({"asked for a time that is over", "released while it is made"}),
    ("visualize", "configmaps", "get"): ALL,
    ("visualize", "configmaps", "update"): frozenset({"asked for a time that is over"}),
    ("release", "services", "get"): ALL,
    ("release", "services", "delete"): frozenset({"of a page"}),
    ("release", "configmaps", "get"): ALL,
    ("release", "configmaps", "update"): frozenset({"of a page", "without a page"}),
    ("expire", "services", "list"): ALL,
    ("expire", "services", "delete"): frozenset({"time is over", "a deletion was cut short"}),
    ("expire", "configmaps", "get"): ALL,
    ("expire", "configmaps", "update"): frozenset({"time is over", "a deletion was cut short", "a tombstone is old"}),
    ("sweep", "services", "list"): ALL,
    ("retain", "services", "list"): ALL,
    ("retain", "services", "get"): frozenset({"a page that has gone"}),
    ("ingest", "services", "get"): ALL,
    ("ingest", "configmaps", "get"): ALL,
    ("rollout", "services", "get"): frozenset({"a candidate is taken back", "a snapshot"}),
    ("rollout", "services", "list"): frozenset({"a candidate is taken back"}),
    ("rollout", "services", "update"): frozenset({"a candidate is taken back"}),
    ("rollout", "revisions", "get"): frozenset({"a candidate is taken back"}),
    ("rollout", "revisions", "list"): frozenset({"a candidate is taken back"}),
    ("rollout", "revisions", "delete"): frozenset({"a candidate is taken back"}),
    ("rollout", "leases", "get"): frozenset({"a candidate is taken back"}),
    ("rollout", "leases", "update"): frozenset({"a candidate is taken back"}),
    ("rollout", "configmaps", "get"): ALL,
    ("rollout", "configmaps", "update"): frozenset({"a candidate is taken back", "a new image"}),
}
GROUPS = {
    "services": "serving.knative.dev",
    "revisions": "serving.knative.dev",
    "leases": "coordination.k8s.io",
    "configmaps": "",
}
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")


@pytest.fixture(scope="module")
def zero_scale() -> None:
    """A page is made asleep, which Knative must allow: component `knative-config`. It stays, as after `make deploy`."""
    api = connect()
    client.CoreV1Api(api).patch_namespaced_config_map(
        "config-autoscaler", "knative-serving", {"data": {"allow-zero-initial-scale": "true"}}
    )
    body = {**make_service(visualize_event(), SETTINGS), "metadata": {"name": "task-1"}}

    def allowed() -> bool:
        try:
            client.CustomObjectsApi(api).create_namespaced_custom_object(
                namespace="default", body=body, dry_run="All", **SERVICES
            )
        except client.ApiException as error:
            if error.status != 400:
                raise
            return False
        return True

    until(allowed, SECONDS, "that Knative takes a Service without a Pod")
    api.close()


@pytest.fixture(scope="module")
def accounts(zero_scale: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Accounts]:
    found = Accounts(with_component(tmp_path_factory.mktemp("rbac"), "rbac"))
    try:
        yield found
    finally:
        found.close()


@pytest.fixture
def sink() -> Iterator[Sink]:
    found = Sink()
    yield found
    found.close()


class Theatre:
    """Scenes of one function after the other, each with an empty namespace before it."""

    def __init__(self, accounts: Accounts, sink: Sink, function: str) -> None:
        environment = {**ENVIRONMENT, "BIGPANDA_NAMESPACE": accounts.namespace, "K_SINK": sink.url}
        settings = Settings.from_environment({**environment, "BIGPANDA_READY_TIMEOUT": "PT5M"})
        clock = Clock()
        self.custom = client.CustomObjectsApi(accounts.admin)
        self.admin = Context(Cluster(accounts.admin, accounts.namespace), settings, clock)
        self.function = Context(Cluster(accounts.client(function), accounts.namespace), settings, clock)

    def stage(self) -> Stage:
        self.custom.delete_collection_namespaced_custom_object(namespace=self.admin.settings.namespace, **SERVICES)
        self.admin.cluster.change_tombstones(lambda _: {})
        self.admin.cluster.change_rollouts(lambda _: {})
        return Stage(self.admin, self.function)


def check(scene: Scene, stage: Stage, answer: Response) -> None:
    assert told(answer) == scene.answer, answer.data
    assert stage.stands() == scene.stands


CASES = [(function, name) for function, scenes in SCENES.items() for name in scenes]


@pytest.mark.parametrize(("function", "name"), CASES)
def test_with_its_role_a_function_does_all_that_it_is_for(
    accounts: Accounts, sink: Sink, function: str, name: str
) -> None:
    scene, stage = SCENES[function][name], Theatre(accounts, sink, function).stage()
    check(scene, stage, scene.prepare(stage)())


def test_every_right_has_its_row(accounts: Accounts) -> None:
    granted = {(function, right) for function, role in accounts.roles().items() for right in rights_of(role)}
    assert granted == {(function, Call(GROUPS[resource], resource, verb)) for function, resource, verb in TABLE}


@pytest.mark.parametrize(("function", "resource", "verb"), TABLE)
def test_without_one_right_just_these_scenes_fail_and_say_why(
    accounts: Accounts, sink: Sink, function: str, resource: str, verb: str
) -> None:
    right = Call(GROUPS[resource], resource, verb)
    denied = (
        f'User "system:serviceaccount:{accounts.namespace}:{function}" cannot {verb} resource "{resource}" '
        f'in API group "{right.group}" in the namespace "{accounts.namespace}"'
    )
    names = TABLE[function, resource, verb]
    names = frozenset(SCENES[function]) if names == ALL else names
    failed = set()
    for name, scene in SCENES[function].items():
        stage = Theatre(accounts, sink, function).stage()
        act = scene.prepare(stage)
        with accounts.without(function, right):
            answer = act()
        if name in names:
            failed.add(name)
            assert answer.status_code == 503, f"{name}: nothing failed"
            assert denied in said(answer)
            answer = act()
        check(scene, stage, answer)
    assert failed == names


def said(answer: Response) -> str:
    content: dict[str, Any] = json.loads(answer.get_data())
    return str(content["error"])


@pytest.mark.parametrize("function", SCENES)
def test_a_function_may_do_nothing_else(accounts: Accounts, function: str) -> None:
    everything = {Call(group, resource, verb) for resource, group in GROUPS.items() for verb in VERBS}
    everything |= {Call("", resource, verb) for resource in ("secrets", "pods", "serviceaccounts") for verb in VERBS}
    everything |= {Call("rbac.authorization.k8s.io", "roles", verb) for verb in VERBS}
    allowed = {right for right in everything if accounts.may(function, right)}
    assert allowed == rights_of(accounts.roles()[function])
