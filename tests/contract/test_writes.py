"""Names, conflicts, preconditions, patches, selectors, watches: what an API server promises its writers."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from contract.kit import (
    CONFIG_MAPS,
    CONFIGURATIONS,
    JSON_PATCH,
    REVISIONS,
    ROUTES,
    SERVICES,
    Home,
    answered,
    eventually,
    failure,
    make_config_map,
)

MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"
UNFIT = "the server rejected our request due to an error in our request"
DENIED = 'admission webhook "validation.webhook.serving.knative.dev" denied the request: validation failed: '


def test_a_generated_name(home: Home) -> None:
    first, second = (home.create(CONFIG_MAPS, {"metadata": {"generateName": "gen-"}}) for _ in range(2))
    names = {one["metadata"]["name"] for one in (first, second)}
    assert len(names) == 2
    assert all(re.fullmatch("gen-[a-z0-9]{5}", name) for name in names)
    assert first["metadata"]["generateName"] == "gen-"
    service = home.create(SERVICES, home.make_service("x") | {"metadata": {"generateName": "gen-"}})
    assert re.fullmatch("gen-[a-z0-9]{5}", service["metadata"]["name"])


def test_a_name_that_is_taken(home: Home) -> None:
    home.create(CONFIG_MAPS, make_config_map("one"))
    answer = home.try_create(CONFIG_MAPS, make_config_map("one"))
    assert failure(answer) == (409, "AlreadyExists", 'configmaps "one" already exists')
    home.create(SERVICES, home.make_service("one"))
    answer = home.try_create(SERVICES, home.make_service("one"))
    assert failure(answer) == (409, "AlreadyExists", 'services.serving.knative.dev "one" already exists')
    assert answer.json()["details"] == {"name": "one", "group": "serving.knative.dev", "kind": "services"}


def test_what_is_not_there(home: Home) -> None:
    answer = home.delete(CONFIG_MAPS, "nobody")
    assert failure(answer) == (404, "NotFound", 'configmaps "nobody" not found')
    answer = home.patch(SERVICES, "nobody", {})
    assert failure(answer) == (404, "NotFound", 'services.serving.knative.dev "nobody" not found')


def test_a_stale_version(home: Home) -> None:
    made = home.create(CONFIG_MAPS, make_config_map("one"))
    answered(home.put(CONFIG_MAPS, made | {"data": {"a": "2"}}), 200)
    stale = home.put(CONFIG_MAPS, made | {"data": {"a": "3"}})
    assert failure(stale) == (409, "Conflict", f'Operation cannot be fulfilled on configmaps "one": {MODIFIED}')
    service = home.create(SERVICES, home.make_service("one"))
    answered(home.patch(SERVICES, "one", {"metadata": {"labels": {"x": "y"}}}), 200)
    message = f'Operation cannot be fulfilled on services.serving.knative.dev "one": {MODIFIED}'
    assert failure(home.put(SERVICES, service)) == (409, "Conflict", message)
    patched = home.patch(SERVICES, "one", {"metadata": {"resourceVersion": "1"}})
    assert failure(patched) == (409, "Conflict", message)


def test_a_whole_service_needs_its_version(home: Home) -> None:
    service = home.create(SERVICES, home.make_service("one"))
    del service["metadata"]["resourceVersion"]
    message = "metadata.resourceVersion: Invalid value: 0: must be specified for an update"
    answer = home.put(SERVICES, service)
    assert failure(answer) == (422, "Invalid", f'services.serving.knative.dev "one" is invalid: {message}')


def test_deletion_of_the_very_object_only(home: Home) -> None:
    made = home.create(CONFIG_MAPS, make_config_map("one"))["metadata"]
    other = "00000000-0000-4000-8000-000000000000"
    said = 'Operation cannot be fulfilled on ConfigMap "one": the '
    answer = home.delete(CONFIG_MAPS, "one", {"preconditions": {"uid": other}})
    assert failure(answer) == (
        409,
        "Conflict",
        (
            f"{said}UID in the precondition ({other}) does not match the UID in record ({made['uid']}). "
            "The object might have been deleted and then recreated"
        ),
    )
    answer = home.delete(CONFIG_MAPS, "one", {"preconditions": {"resourceVersion": "1"}})
    assert failure(answer) == (
        409,
        "Conflict",
        (
            f"{said}ResourceVersion in the precondition (1) does not match the ResourceVersion in record "
            f"({made['resourceVersion']}). The object might have been modified"
        ),
    )
    right = {"preconditions": {"uid": made["uid"], "resourceVersion": made["resourceVersion"]}}
    assert answered(home.delete(CONFIG_MAPS, "one", right), 200) == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {"name": "one", "kind": "configmaps", "uid": made["uid"]},
    }
    assert home.names(CONFIG_MAPS, fieldSelector="metadata.name=one") == []


def test_the_wrong_service_is_not_deleted(home: Home) -> None:
    home.create(SERVICES, home.make_service("one"))
    answer = home.delete(SERVICES, "one", {"preconditions": {"uid": "another"}})
    code, reason, message = failure(answer)
    assert (code, reason) == (409, "Conflict")
    assert message.startswith('Operation cannot be fulfilled on Service.serving.knative.dev "one": the UID in the pre')
    assert home.names(SERVICES) == ["one"]


def test_children_go_with_their_owner(home: Home) -> None:
    home.serve("doomed")
    answered(home.delete(SERVICES, "doomed"), 200)
    children = (SERVICES, CONFIGURATIONS, ROUTES, REVISIONS)
    eventually(lambda: not any(home.names(collection) for collection in children))


def test_a_child_of_a_config_map(home: Home) -> None:
    owner = home.create(CONFIG_MAPS, make_config_map("owner"))["metadata"]
    child = make_config_map("child")
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["uid"]}
    child["metadata"]["ownerReferences"] = [reference]
    home.create(CONFIG_MAPS, child)
    answered(home.delete(CONFIG_MAPS, "owner"), 200)
    eventually(lambda: home.names(CONFIG_MAPS, fieldSelector="metadata.name=child") == [])


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("colour=blue", ["a"]),
        ("colour==blue", ["a"]),
        ("colour!=blue", ["b", "c"]),
        ("colour in (blue, red)", ["a", "b"]),
        ("colour notin (blue)", ["b", "c"]),
        ("colour", ["a", "b"]),
        ("!colour", ["c"]),
        ("colour,size=big", ["b"]),
    ],
)
def test_label_selectors(home: Home, selector: str, names: list[str]) -> None:
    home.create(CONFIG_MAPS, make_config_map("a", colour="blue", mine="yes"))
    home.create(CONFIG_MAPS, make_config_map("b", colour="red", size="big", mine="yes"))
    home.create(CONFIG_MAPS, make_config_map("c", mine="yes"))
    assert home.names(CONFIG_MAPS, labelSelector=f"mine=yes,{selector}") == names


def test_selectors_that_cannot_be_read(home: Home) -> None:
    for query in ({"labelSelector": "!!"}, {"fieldSelector": "spec.x=1"}):
        code, reason, _ = failure(home.cluster.api.get(home.path(SERVICES), params=query))
        assert (code, reason) == (400, "BadRequest")


def read(events: Iterator[dict[str, Any]]) -> tuple[str, str, str]:
    event = next(events)
    thing = event["object"]
    return event["type"], thing["metadata"]["name"], thing.get("data", {}).get("a", "")


def test_a_watch_from_a_version(home: Home) -> None:
    home.create(CONFIG_MAPS, make_config_map("before", mine="yes"))
    seen = home.get(CONFIG_MAPS)["metadata"]["resourceVersion"]
    home.create(CONFIG_MAPS, make_config_map("one", mine="yes"))
    home.create(CONFIG_MAPS, make_config_map("other"))
    home.patch(CONFIG_MAPS, "one", {"data": {"a": "2"}})
    home.delete(CONFIG_MAPS, "one")
    events = home.watch(CONFIG_MAPS, resourceVersion=seen, labelSelector="mine=yes")
    wanted = [("ADDED", "one", "1"), ("MODIFIED", "one", "2"), ("DELETED", "one", "2")]
    assert [read(events) for _ in wanted] == wanted
    home.patch(CONFIG_MAPS, "before", {"metadata": {"labels": {"mine": None}}})
    assert read(events)[:2] == ("DELETED", "before")


def test_a_watch_of_services(home: Home) -> None:
    home.create(SERVICES, home.make_service("one"))
    events = home.watch(SERVICES)
    first = next(events)
    assert (first["type"], first["object"]["kind"], first["object"]["metadata"]["name"]) == ("ADDED", "Service", "one")
    home.delete(SERVICES, "one")
    assert "DELETED" in (event["type"] for event in events)


def test_a_merge_patch(home: Home) -> None:
    home.create(CONFIG_MAPS, make_config_map("one", colour="blue"))
    patch = {"metadata": {"labels": {"colour": None, "size": "big"}}, "data": {"b": "2"}}
    changed = answered(home.patch(CONFIG_MAPS, "one", patch), 200)
    assert changed["metadata"]["labels"] == {"size": "big"}
    assert changed["data"] == {"a": "1", "b": "2"}
    again = answered(home.patch(CONFIG_MAPS, "one", patch), 200)
    assert again["metadata"]["resourceVersion"] == changed["metadata"]["resourceVersion"]


def test_a_json_patch(home: Home) -> None:
    home.create(SERVICES, home.make_service("one", labels={"colour": "blue"}))
    operations = [
        {"op": "test", "path": "/metadata/labels/colour", "value": "blue"},
        {"op": "replace", "path": "/metadata/labels/colour", "value": "red"},
        {"op": "add", "path": "/metadata/labels/example.org~1size", "value": "big"},
        {"op": "replace", "path": "/spec/template/spec/containers/0/name", "value": "page"},
    ]
    changed = answered(home.patch(SERVICES, "one", operations, JSON_PATCH), 200)
    assert changed["metadata"]["labels"] == {"colour": "red", "example.org/size": "big"}
    assert changed["spec"]["template"]["spec"]["containers"][0]["name"] == "page"


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/metadata/labels/colour", "value": "red"},
        {"op": "replace", "path": "/metadata/nowhere/x", "value": "red"},
        {"op": "remove", "path": "/metadata/labels/none"},
        {"op": "fly", "path": "/metadata/labels/colour"},
    ],
)
def test_a_json_patch_that_does_not_fit(home: Home, operation: dict[str, str]) -> None:
    home.create(SERVICES, home.make_service("one", labels={"colour": "blue"}))
    before = home.get(SERVICES, "one")["metadata"]["labels"]
    changing = {"op": "replace", "path": "/metadata/labels/colour", "value": "green"}
    answer = home.patch(SERVICES, "one", [operation, changing], JSON_PATCH)
    assert failure(answer) == (422, "Invalid", UNFIT)
    assert home.get(SERVICES, "one")["metadata"]["labels"] == before


def test_a_json_patch_is_a_list(home: Home) -> None:
    home.create(SERVICES, home.make_service("one"))
    code, reason, message = failure(home.patch(SERVICES, "one", {"op": "remove"}, JSON_PATCH))
    assert (code, reason) == (400, "BadRequest")
    assert message.startswith("error decoding patch: json: cannot unmarshal object into Go value of type []")


@pytest.mark.parametrize("kind", ["text/plain", "application/strategic-merge-patch+json"])
def test_a_patch_that_services_do_not_take(home: Home, kind: str) -> None:
    home.create(SERVICES, home.make_service("one"))
    assert failure(home.patch(SERVICES, "one", {}, kind))[:2] == (415, "UnsupportedMediaType")


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        (
            {"metadata": {"name": "other"}},
            "the name of the object (other) does not match the name on the URL (one)",
        ),
        (
            {"metadata": {"annotations": {"serving.knative.dev/creator": "me"}}},
            f"{DENIED}annotation value is immutable: metadata.annotations.serving.knative.dev/creator",
        ),
        (
            {"spec": {"template": {"spec": {"timeoutSeconds": 601}}}},
            f"{DENIED}expected 0 <= 601 <= 600: spec.template.spec.timeoutSeconds",
        ),
    ],
)
def test_changes_that_are_refused(home: Home, patch: dict[str, Any], message: str) -> None:
    home.create(SERVICES, home.make_service("one"))
    assert failure(home.patch(SERVICES, "one", patch)) == (400, "BadRequest", message)


def test_a_named_revision_needs_a_new_name_and_never_changes(home: Home) -> None:
    service = home.make_service("one")
    service["spec"]["template"]["metadata"]["name"] = "one-first"
    home.create(SERVICES, service)
    home.await_ready(SERVICES, "one")
    slower = {"timeoutSeconds": 60}
    code, _, message = failure(home.patch(SERVICES, "one", {"spec": {"template": {"spec": slower}}}))
    said = "Saw the following changes without a name change (-old +new): spec.template.metadata.name\n"
    assert (code, message.startswith(DENIED + said)) == (400, True)
    code, _, message = failure(home.patch(REVISIONS, "one-first", {"spec": slower}))
    said = "Immutable fields changed (-old +new): spec\n"
    assert (code, message.startswith(DENIED + said)) == (400, True)
