from typing import Any

from bigpanda_laptop.follow import compare, describe


def named(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name}}


def test_a_service_with_a_pod_is_awake() -> None:
    pods = [{"metadata": {"name": "p", "labels": {"serving.knative.dev/service": "a"}}}]
    assert describe([named("a"), named("b")], pods) == {"a": "awake", "b": "asleep"}


def test_only_changes_are_told() -> None:
    before = {"a": "awake", "b": "asleep", "c": "asleep"}
    assert compare(before, before) == []
    assert compare(before, {"a": "asleep", "b": "asleep", "d": "awake"}) == [
        "a is asleep",
        "d was made (awake)",
        "c has ended",
    ]
