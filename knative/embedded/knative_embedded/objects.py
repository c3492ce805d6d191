"""Kubernetes objects stay plain dicts; these accessors spell the paths into them once.

Promise: nothing here changes its argument. Objects that come out of the store are shared, so a change starts
with `copy_of`.
"""

import datetime as dt
from collections.abc import Callable
from typing import Any

Object = dict[str, Any]
Clock = Callable[[], dt.datetime]


def copy_of(thing: Object) -> Object:
    """A deep copy that may be changed."""
    return {key: _copy_of(value) for key, value in thing.items()}


def _copy_of(value: Any) -> Any:
    # What JSON and YAML are made of, without the bookkeeping of `copy.deepcopy`: each write copies objects a few times.
    if isinstance(value, dict):
        return copy_of(value)
    return [_copy_of(one) for one in value] if isinstance(value, list) else value


def utc_now() -> dt.datetime:
    """The clock of a running runtime; tests pass their own."""
    return dt.datetime.now(dt.UTC)


def timestamp(moment: dt.datetime) -> str:
    """RFC 3339 in whole seconds, as metav1.Time is written."""
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_timestamp(moment: dt.datetime) -> str:
    """RFC 3339 with microseconds, as CloudEvents and metav1.MicroTime are written."""
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def meta(thing: Object) -> Object:
    """The metadata of an object, empty when it has none."""
    found: Object = thing.get("metadata") or {}
    return found


def name_of(thing: Object) -> str:
    """metadata.name."""
    return str(meta(thing).get("name", ""))


def namespace_of(thing: Object) -> str:
    """metadata.namespace, empty for what belongs to none."""
    return str(meta(thing).get("namespace", ""))


def uid_of(thing: Object) -> str:
    """metadata.uid."""
    return str(meta(thing).get("uid", ""))


def generation_of(thing: Object) -> int:
    """metadata.generation, 0 for kinds without one."""
    return int(meta(thing).get("generation", 0))


def labels_of(thing: Object) -> dict[str, str]:
    """metadata.labels."""
    return meta(thing).get("labels") or {}


def annotations_of(thing: Object) -> dict[str, str]:
    """metadata.annotations."""
    return meta(thing).get("annotations") or {}


def spec_of(thing: Object) -> Object:
    """spec, empty when the object has none."""
    found: Object = thing.get("spec") or {}
    return found


def status_of(thing: Object) -> Object:
    """status, empty when nothing was observed yet."""
    found: Object = thing.get("status") or {}
    return found


def condition(thing: Object, kind: str) -> Object:
    """The condition of that type, or an empty one."""
    for one in status_of(thing).get("conditions") or []:
        if one.get("type") == kind:
            return dict(one)
    return {}


def is_ready(thing: Object) -> bool:
    """Whether Ready is True."""
    return condition(thing, "Ready").get("status") == "True"


def controller_reference(owner: Object) -> Object:
    """The owner reference by which a child is collected with its owner."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": name_of(owner),
        "uid": uid_of(owner),
        "controller": True,
        "blockOwnerDeletion": True,
    }
