"""Who may do what: a function what its code calls, a page nothing, the network no more than it must."""

import itertools
from pathlib import Path

import pytest

from bigpanda_laptop.deploy import read_manifests
from bigpanda_mlflow import labels
from bigpanda_mlflow.resources import make_service
from support.builders import SETTINGS, visualize_event
from support.cluster_calls import Call, calls_of, posts
from support.manifests import (
    KNATIVE,
    OVERLAYS,
    PLATFORMS,
    Resource,
    container,
    functions,
    kustomize,
    of_kind,
    overlay,
    with_component,
)


@pytest.mark.parametrize("function", sorted(functions(tuple(read_manifests(KNATIVE / "base")))))
@pytest.mark.parametrize("name", PLATFORMS)
def test_a_function_may_do_what_its_code_calls_and_no_more(name: str, function: str) -> None:
    objects = overlay(name)
    account = functions(objects)[function]["spec"]["template"]["spec"]["serviceAccountName"]
    assert account in of_kind(objects, "ServiceAccount")
    bindings = [
        binding
        for binding in of_kind(objects, "RoleBinding").values()
        if {"kind": "ServiceAccount", "name": account, "namespace": "bigpanda"} in binding["subjects"]
    ]
    (role,) = (of_kind(objects, "Role")[binding["roleRef"]["name"]] for binding in bindings)
    granted = {
        Call(group, resource, verb)
        for rule in role["rules"]
        for group, resource, verb in itertools.product(rule["apiGroups"], rule["resources"], rule["verbs"])
    }
    # What a function writes to is made by the overlay: no function needs to create ConfigMaps.
    assert {labels.TOMBSTONES, labels.ROLLOUTS} <= of_kind(objects, "ConfigMap").keys()
    assert labels.ROLLOUTS in of_kind(objects, "Lease")
    assert granted == calls_of(function) - {Call("", "configmaps", "create")}
    named = [rule for rule in role["rules"] if {"configmaps", "leases"} & set(rule["resources"])]
    assert all(rule["resourceNames"] in ([labels.TOMBSTONES], [labels.ROLLOUTS]) for rule in named)


@pytest.mark.parametrize("name", PLATFORMS)
def test_only_rollout_writes_the_records_of_rollouts(name: str) -> None:
    def may_write(role: Resource) -> bool:
        return any(
            labels.ROLLOUTS in rule.get("resourceNames", []) and set(rule["verbs"]) > {"get"} for rule in role["rules"]
        )

    assert [role for role, one in of_kind(overlay(name), "Role").items() if may_write(one)] == ["rollout"]


@pytest.mark.parametrize("name", PLATFORMS)
def test_a_page_gets_no_token(name: str) -> None:
    pod = make_service(visualize_event(), SETTINGS)["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    account = of_kind(overlay(name), "ServiceAccount")[pod.get("serviceAccountName", "default")]
    assert account["automountServiceAccountToken"] is False
    assert all(s["name"] != "default" for b in of_kind(overlay(name), "RoleBinding").values() for s in b["subjects"])


@pytest.mark.parametrize("name", ["production", "okd"])
def test_the_network_policies_choose_all_pods_and_the_pages(name: str) -> None:
    policies = {key: one["spec"] for key, one in of_kind(overlay(name), "NetworkPolicy").items()}
    assert policies["from-knative-only"]["podSelector"] == {}
    (chosen,) = policies["pages"]["podSelector"]["matchExpressions"]
    page = make_service(visualize_event(), SETTINGS)["spec"]["template"]["metadata"]["labels"]
    assert chosen == {"key": labels.JEDITASKID, "operator": "Exists"}
    assert chosen["key"] in page
    dns, store = policies["pages"]["egress"]
    assert {port["port"] for port in dns["ports"]} == {53, 5353}
    assert all(set(peer) == {"ipBlock"} for peer in store["to"])


def oidc(tmp_path: Path) -> tuple[Resource, ...]:
    return with_component(tmp_path, "rbac", "oidc")


def tokens_of(service: Resource) -> dict[str, Resource]:
    """The projected ServiceAccount tokens of a function, by the paths under which its container sees them."""
    volumes = {one["name"]: one for one in service["spec"]["template"]["spec"]["volumes"] if "projected" in one}
    return {
        f"{mount['mountPath']}/{source['serviceAccountToken']['path']}": source["serviceAccountToken"]
        for mount in container(service)["volumeMounts"]
        for source in volumes.get(mount["name"], {"projected": {"sources": []}})["projected"]["sources"]
    }


def test_who_posts_by_itself_has_a_token_for_the_broker_and_nobody_else(tmp_path: Path) -> None:
    objects = oidc(tmp_path)
    (broker,) = of_kind(objects, "Broker").values()
    audience = f"eventing.knative.dev/broker/{broker['metadata']['namespace']}/{broker['metadata']['name']}"
    for name, service in functions(objects).items():
        environment = {one["name"]: one["value"] for one in container(service).get("env", [])}
        tokens = tokens_of(service)
        assert list(tokens) == [environment[name] for name in ["K_SINK_TOKEN_FILE"] if name in environment]
        assert [token["audience"] for token in tokens.values()] == ([audience] if posts(name) else [])
        without = container(functions(kustomize(KNATIVE / "base"))[name]).get("env", [])
        assert [one for one in container(service).get("env", []) if one["name"] != "K_SINK_TOKEN_FILE"] == without


def test_the_policy_names_all_who_post_and_all_whose_replies_are_events(tmp_path: Path) -> None:
    objects = oidc(tmp_path)
    (policy,) = of_kind(objects, "EventPolicy").values()
    assert [one["ref"]["name"] for one in policy["spec"]["to"]] == list(of_kind(objects, "Broker"))
    accounts = {name: one["spec"]["template"]["spec"]["serviceAccountName"] for name, one in functions(objects).items()}
    senders = {account for name, account in accounts.items() if posts(name)}
    # Knative's own rule (eventing, pkg/auth/serviceaccount.go); tests/cluster asks the Triggers themselves.
    senders |= {f"{trigger}-oidc-eventing.knative.dev-trigger" for trigger in of_kind(objects, "Trigger")}
    named = [one["sub"] for one in policy["spec"]["from"]]
    assert sorted(named) == sorted(f"system:serviceaccount:bigpanda:{sender}" for sender in senders)


def test_the_switch_is_the_clusters_and_in_no_overlay(tmp_path: Path) -> None:
    features = of_kind(oidc(tmp_path), "ConfigMap")["config-features"]
    assert (features["metadata"]["namespace"], features["data"]) == (
        "knative-eventing",
        {"authentication-oidc": "enabled"},
    )
    assert all("authentication-oidc" not in str(overlay(name)) for name in OVERLAYS)
