"""The API over real HTTPS: what the API server promises its clients, in its own words."""

import itertools
import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from embedded.kit import Cluster, eventually, make_service, ready, services

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
MODIFIED = (
    'Operation cannot be fulfilled on configmaps "life": the object has been modified; '
    "please apply your changes to the latest version and try again"
)
MERGE = {"content-type": "application/merge-patch+json"}


def make_config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def failure(answer: httpx.Response) -> tuple[int, str, str]:
    status = answer.json()
    assert (status["kind"], status["status"], status["code"]) == ("Status", "Failure", answer.status_code)
    return answer.status_code, status.get("reason", ""), status["message"]


@pytest.mark.parametrize("path", ["/version", "/api", "/apis", CONFIG_MAPS, "/openapi/v3", "/nonsense"])
@pytest.mark.parametrize("token", ["", "Bearer", "Bearer wrong", "Basic YTpi"])
def test_nothing_without_the_token(cluster: Cluster, path: str, token: str) -> None:
    with httpx.Client(base_url=cluster.endpoints["api"], verify=cluster.context) as stranger:
        answer = stranger.get(path, headers={"authorization": token})
    assert failure(answer) == (401, "Unauthorized", "Unauthorized")


def test_missing_objects_and_paths(cluster: Cluster) -> None:
    answer = cluster.api.get(f"{services()}/nobody")
    assert failure(answer) == (404, "NotFound", 'services.serving.knative.dev "nobody" not found')
    assert answer.json()["details"] == {"name": "nobody", "group": "serving.knative.dev", "kind": "services"}
    assert failure(cluster.api.get(f"{CONFIG_MAPS}/x"))[2] == 'configmaps "x" not found'
    assert (
        failure(cluster.api.get("/apis/apps/v1/deployments"))[2] == "the server could not find the requested resource"
    )
    answer = cluster.api.post("/api/v1/namespaces/nowhere/configmaps", json=make_config_map("a"))
    assert failure(answer) == (404, "NotFound", 'namespaces "nowhere" not found')


def test_life_of_a_config_map(cluster: Cluster) -> None:
    made = cluster.create(CONFIG_MAPS, make_config_map("life", a="1"))
    assert made["metadata"]["namespace"] == "default"
    assert made["metadata"]["uid"]
    answer = cluster.api.post(CONFIG_MAPS, json=make_config_map("life"))
    assert failure(answer) == (409, "AlreadyExists", 'configmaps "life" already exists')
    changed = cluster.api.put(f"{CONFIG_MAPS}/life", json={**made, "data": {"a": "2"}}).json()
    assert changed["data"] == {"a": "2"}
    assert int(changed["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])
    stale = cluster.api.put(f"{CONFIG_MAPS}/life", json={**made, "data": {"a": "3"}})
    assert failure(stale) == (
        409,
        "Conflict",
        MODIFIED,
    )
    same = cluster.api.put(f"{CONFIG_MAPS}/life", json=changed).json()
    assert same == changed
    assert cluster.api.delete(f"{CONFIG_MAPS}/life").json() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {"name": "life", "kind": "configmaps", "uid": made["metadata"]["uid"]},
    }
    assert cluster.api.get(f"{CONFIG_MAPS}/life").status_code == 404


def test_names_are_generated(cluster: Cluster) -> None:
    body = {"metadata": {"generateName": "many-"}}
    names = {cluster.create(CONFIG_MAPS, body)["metadata"]["name"] for _ in range(3)}
    assert len(names) == 3
    assert all(name.startswith("many-") and len(name) == 10 for name in names)


@pytest.mark.parametrize(
    ("preconditions", "complaint"),
    [
        ({"uid": "another"}, "the UID in the precondition (another) does not match the UID in record"),
        ({"resourceVersion": "1"}, "the ResourceVersion in the precondition (1) does not match"),
    ],
)
def test_deletion_keeps_its_preconditions(cluster: Cluster, preconditions: dict[str, str], complaint: str) -> None:
    name = f"guarded-{'-'.join(preconditions).lower()}"
    made = cluster.create(CONFIG_MAPS, make_config_map(name))
    options = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": preconditions}
    refused = cluster.api.request("DELETE", f"{CONFIG_MAPS}/{name}", json=options)
    assert failure(refused)[:2] == (409, "Conflict")
    assert complaint in refused.json()["message"]
    options["preconditions"] = {key: made["metadata"][key] for key in preconditions}
    assert cluster.api.request("DELETE", f"{CONFIG_MAPS}/{name}", json=options).status_code == 200


def test_patches(cluster: Cluster) -> None:
    cluster.create(CONFIG_MAPS, make_config_map("patched", a="1", b="2"))
    path = f"{CONFIG_MAPS}/patched"
    merged = cluster.api.patch(path, json={"data": {"a": None, "c": "3"}}, headers=MERGE)
    assert merged.json()["data"] == {"b": "2", "c": "3"}
    operations = [{"op": "test", "path": "/data/b", "value": "2"}, {"op": "replace", "path": "/data/b", "value": "4"}]
    headers = {"content-type": "application/json-patch+json"}
    assert cluster.api.patch(path, json=operations, headers=headers).json()["data"] == {"b": "4", "c": "3"}
    again = cluster.api.patch(path, json=operations, headers=headers)
    assert failure(again)[:2] == (422, "Invalid")
    strategic = {"content-type": "application/strategic-merge-patch+json"}
    assert cluster.api.patch(path, json={"data": {"d": "5"}}, headers=strategic).json()["data"]["d"] == "5"
    stale = cluster.api.patch(path, json={"metadata": {"resourceVersion": "1"}}, headers=MERGE)
    assert failure(stale)[:2] == (409, "Conflict")
    unknown = cluster.api.patch(path, content=b"{}", headers={"content-type": "text/plain"})
    assert failure(unknown)[:2] == (415, "UnsupportedMediaType")


def test_dry_run_changes_nothing(cluster: Cluster) -> None:
    path = f"{CONFIG_MAPS}?dryRun=All"
    assert cluster.api.post(path, json=make_config_map("dry")).status_code == 201
    assert cluster.api.get(f"{CONFIG_MAPS}/dry").status_code == 404


def test_selectors(cluster: Cluster) -> None:
    for name, tier in (("sel-a", "one"), ("sel-b", "two"), ("sel-c", "three")):
        body = make_config_map(name)
        body["metadata"]["labels"] = {"tier": tier, "sel": "yes"}
        cluster.create(CONFIG_MAPS, body)

    def names(**query: str) -> list[str]:
        found = cluster.api.get(CONFIG_MAPS, params=query).json()
        return [one["metadata"]["name"] for one in found["items"]]

    assert names(labelSelector="sel=yes,tier!=two") == ["sel-a", "sel-c"]
    assert names(labelSelector="tier in (one, two)") == ["sel-a", "sel-b"]
    assert names(labelSelector="sel,tier notin (one)") == ["sel-b", "sel-c"]
    assert names(fieldSelector="metadata.name=sel-b") == ["sel-b"]
    assert failure(cluster.api.get(CONFIG_MAPS, params={"labelSelector": "a b"}))[:2] == (400, "BadRequest")
    assert failure(cluster.api.get(CONFIG_MAPS, params={"fieldSelector": "data.x=1"}))[:2] == (400, "BadRequest")
    cluster.api.delete(CONFIG_MAPS, params={"labelSelector": "sel=yes"})
    assert names(labelSelector="sel") == []


def read_watch(cluster: Cluster, **query: str) -> Iterator[dict[str, Any]]:
    with cluster.api.stream("GET", CONFIG_MAPS, params={"watch": "true", "timeoutSeconds": "20", **query}) as lines:
        for line in lines.iter_lines():
            yield json.loads(line)


def test_watch_tells_what_enters_changes_and_leaves(cluster: Cluster) -> None:
    version = cluster.get(CONFIG_MAPS)["metadata"]["resourceVersion"]
    events = read_watch(cluster, resourceVersion=version, labelSelector="watched=yes")
    seen: list[tuple[str, str]] = []

    def read() -> None:
        for event in itertools.islice(events, 5):
            seen.append((event["type"], event["object"]["metadata"]["name"]))  # noqa: PERF401 (seen as they come)

    reader = threading.Thread(target=read)
    reader.start()
    path = f"{CONFIG_MAPS}/w"
    cluster.create(CONFIG_MAPS, make_config_map("w"))
    for labels in ({"watched": "yes"}, {"watched": "yes", "more": "x"}, {"watched": None}, {"watched": "yes"}):
        cluster.api.patch(path, json={"metadata": {"labels": labels}}, headers=MERGE)
    cluster.api.delete(path)
    reader.join()
    assert seen == [("ADDED", "w"), ("MODIFIED", "w"), ("DELETED", "w"), ("ADDED", "w"), ("DELETED", "w")]


def test_watch_begins_with_what_is_there(cluster: Cluster) -> None:
    cluster.create(CONFIG_MAPS, make_config_map("there"))
    first = next(read_watch(cluster, fieldSelector="metadata.name=there"))
    assert (first["type"], first["object"]["metadata"]["name"]) == ("ADDED", "there")
    listed = read_watch(
        cluster, fieldSelector="metadata.name=there", sendInitialEvents="true", allowWatchBookmarks="true"
    )
    assert [next(listed)["type"], next(listed)["type"]] == ["ADDED", "BOOKMARK"]


def test_owned_objects_go_with_their_owner(cluster: Cluster) -> None:
    owner = cluster.create(CONFIG_MAPS, make_config_map("owner"))
    child = make_config_map("child")
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    child["metadata"]["ownerReferences"] = [reference]
    cluster.create(CONFIG_MAPS, child)
    cluster.api.delete(f"{CONFIG_MAPS}/owner")
    eventually(lambda: cluster.api.get(f"{CONFIG_MAPS}/child").status_code == 404)


def test_finalizers_hold_an_object(cluster: Cluster) -> None:
    held = make_config_map("held")
    held["metadata"]["finalizers"] = ["example.org/wait"]
    cluster.create(CONFIG_MAPS, held)
    cluster.api.delete(f"{CONFIG_MAPS}/held")
    assert cluster.get(f"{CONFIG_MAPS}/held")["metadata"]["deletionTimestamp"]
    cluster.api.patch(f"{CONFIG_MAPS}/held", json={"metadata": {"finalizers": None}}, headers=MERGE)
    assert cluster.api.get(f"{CONFIG_MAPS}/held").status_code == 404


def test_namespaces_take_their_content_along(cluster: Cluster) -> None:
    made = cluster.create("/api/v1/namespaces", {"metadata": {"name": "team"}})
    assert made["metadata"]["labels"] == {"kubernetes.io/metadata.name": "team"}
    cluster.create("/api/v1/namespaces/team/configmaps", make_config_map("inside"))
    cluster.api.delete("/api/v1/namespaces/team")
    eventually(lambda: not cluster.get("/api/v1/namespaces/team/configmaps")["items"])


def test_secrets_are_encoded_and_checked(cluster: Cluster) -> None:
    path = "/api/v1/namespaces/default/secrets"
    made = cluster.create(path, {"metadata": {"name": "s"}, "stringData": {"key": "value"}})
    assert (made["data"], made["type"]) == ({"key": "dmFsdWU="}, "Opaque")
    bad = cluster.api.post(path, json={"metadata": {"name": "t"}, "data": {"key": "%%%"}})
    assert failure(bad)[:2] == (400, "BadRequest")


def test_status_is_only_written_through_its_subresource(cluster: Cluster) -> None:
    body = make_service("statused", annotations={"autoscaling.knative.dev/initial-scale": "0"})
    cluster.create(services(), {**body, "status": {"url": "http://lies"}})
    found = eventually(lambda: (one := cluster.get(f"{services()}/statused")).get("status", {}).get("url") and one)
    assert found["status"]["url"] != "http://lies"
    patched = cluster.api.patch(
        f"{services()}/statused/status",
        json={"spec": {"template": None}, "status": {"annotations": {"a": "b"}}},
        headers=MERGE,
    )
    assert patched.status_code == 200
    assert patched.json()["spec"] == found["spec"]
    assert patched.json()["metadata"]["generation"] == 1


def test_tables_have_knatives_columns(cluster: Cluster) -> None:
    cluster.create(services(), make_service("tabled", annotations={"autoscaling.knative.dev/initial-scale": "0"}))
    eventually(lambda: ready(cluster.get(f"{services()}/tabled")))
    headers = {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
    table = cluster.api.get(f"{services()}/tabled", headers=headers).json()
    assert [column["name"] for column in table["columnDefinitions"]] == [
        "Name", "URL", "LatestCreated", "LatestReady", "Ready", "Reason",
    ]  # fmt: skip
    (row,) = table["rows"]
    url = cluster.endpoints["ingress"].replace("127.0.0.1", "tabled.default.localhost")
    assert row["cells"] == ["tabled", url, "tabled-00001", "tabled-00001", "True", None]
    assert row["object"]["kind"] == "PartialObjectMetadata"
