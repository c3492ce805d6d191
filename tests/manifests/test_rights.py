"""Who may do what: a function what its code calls, a page nothing, the network no more than it must."""

import itertools

import pytest

from bigpanda_laptop.deploy import read_manifests
from bigpanda_mlflow import labels
from bigpanda_mlflow.resources import make_service
from support.builders import SETTINGS, visualize_event
from support.cluster_calls import Call, calls_of
from support.manifests import KNATIVE, PLATFORMS, functions, of_kind, overlay


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
    # The tombstones are made by the overlay: no function needs to create ConfigMaps.
    assert labels.TOMBSTONES in of_kind(objects, "ConfigMap")
    assert granted == calls_of(function) - {Call("", "configmaps", "create")}
    assert all(
        rule["resourceNames"] == [labels.TOMBSTONES] for rule in role["rules"] if "configmaps" in rule["resources"]
    )


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
