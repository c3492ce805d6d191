"""What the API server itself writes into an object: uid, generation, timestamps. Pure.

Rules (Kubernetes API conventions): metadata that the server owns cannot be changed by clients; `status` changes only
through the status subresource, and nothing else changes through it; `generation` counts changes of anything but
metadata and status, for kinds that have a status subresource.
"""

import datetime as dt

from knative_embedded.kinds import Kind
from knative_embedded.objects import Object, copy_of, generation_of, meta, timestamp

SERVER_OWNED = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "selfLink")


def make_created(kind: Kind, wanted: Object, uid: str, now: dt.datetime) -> Object:
    """The object as it is stored first. A client's status is dropped where status has its own subresource."""
    made = copy_of(wanted)
    made["apiVersion"], made["kind"] = kind.api_version, kind.kind
    metadata = made.setdefault("metadata", {})
    for field in (*SERVER_OWNED, "resourceVersion", "managedFields"):
        metadata.pop(field, None)
    metadata |= {"uid": uid, "creationTimestamp": timestamp(now)}
    if kind.has_status:
        metadata["generation"] = 1
        made.pop("status", None)
    return made


def make_updated(kind: Kind, old: Object, wanted: Object) -> Object:
    """The object after a write to its main resource."""
    made = copy_of(wanted)
    made["apiVersion"], made["kind"] = kind.api_version, kind.kind
    metadata = made.setdefault("metadata", {})
    metadata.pop("managedFields", None)
    for field in SERVER_OWNED:
        metadata.pop(field, None)
        if field in meta(old):
            metadata[field] = meta(old)[field]
    if kind.has_status:
        made.pop("status", None)
        if "status" in old:
            made["status"] = copy_of(old["status"])
        changed = _content(made) != _content(old)
        metadata["generation"] = generation_of(old) + changed
    return made


def make_status_updated(old: Object, wanted: Object) -> Object:
    """The object after a write to its status subresource."""
    made = copy_of(old)
    made.pop("status", None)
    if "status" in wanted:
        made["status"] = copy_of(wanted["status"])
    return made


def same_but_version(one: Object, other: Object) -> bool:
    """Whether a write would change nothing: the API server then keeps the resourceVersion."""
    return _without_version(one) == _without_version(other)


def _content(thing: Object) -> Object:
    return {key: value for key, value in thing.items() if key not in {"metadata", "status"}}


def _without_version(thing: Object) -> Object:
    metadata = {key: value for key, value in meta(thing).items() if key != "resourceVersion"}
    return thing | {"metadata": metadata}
