"""The writing verbs of the API: admission, preconditions and what is stored.

Promise: a write is decided against the object as it is at that moment (the store lets one writer in at a time), so two
clients cannot overwrite each other unseen.
"""

import dataclasses
import secrets
from collections.abc import Callable
from typing import Any

from knative_embedded.admission.webhooks import admit
from knative_embedded.api import errors
from knative_embedded.api.address import Address
from knative_embedded.kinds import NAMESPACE
from knative_embedded.objects import Clock, Object, copy_of, meta, name_of, namespace_of, timestamp
from knative_embedded.state.metadata import make_created, make_status_updated, make_updated
from knative_embedded.state.store import Store

_UNCONDITIONAL = {"configmaps", "secrets", "events", "namespaces"}
_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"

Change = Callable[[Object], Any]


@dataclasses.dataclass(frozen=True)
class Preconditions:
    """What a deletion expects of the object."""

    uid: str = ""
    version: str = ""

    def check(self, address: Address, thing: Object) -> None:
        """Raises ApiError (conflict) when the object is another one, or changed."""
        for wanted, field, label, hint in (
            (self.uid, "uid", "UID", "The object might have been deleted and then recreated"),
            (self.version, "resourceVersion", "ResourceVersion", "The object might have been modified"),
        ):
            found = str(meta(thing).get(field, ""))
            if wanted and wanted != found:
                why = (
                    f"the {label} in the precondition ({wanted}) does not match the {label} in record ({found}). {hint}"
                )
                raise errors.precondition_failed(address.kind, address.name, why)


@dataclasses.dataclass(frozen=True)
class Write:
    """How a write is meant: `dry` stores nothing, `strict` refuses unknown fields."""

    dry: bool = False
    strict: bool = False


class Verbs:
    """Create, replace, patch and delete, on any kind that clients may write."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def create(self, address: Address, body: Object, *, write: Write) -> Object:
        """Store a new object under a given or generated name."""
        wanted = _placed(address, body)
        metadata = wanted["metadata"]
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = metadata["generateName"] + "".join(secrets.choice(_SUFFIX) for _ in range(5))
        if metadata.get("resourceVersion"):
            raise errors.ApiError(500, "InternalError", "resourceVersion should not be set on objects to be created")
        self._require_namespace(address)
        admitted = admit(address.kind, wanted, None, strict=write.strict)
        if write.dry:
            if self._store.get(address.kind, namespace_of(admitted), name_of(admitted)) is not None:
                raise errors.already_exists(address.kind, name_of(admitted))
            return make_created(address.kind, admitted, "00000000-0000-0000-0000-000000000000", self._clock())
        return await self._store.create(address.kind, admitted)

    def _require_namespace(self, address: Address) -> None:
        if address.kind.namespaced and self._store.get(NAMESPACE, "", address.namespace) is None:
            raise errors.not_found(NAMESPACE, address.namespace)

    async def replace(self, address: Address, body: Object, *, write: Write) -> Object:
        """PUT: the whole object, at the version that the client has seen."""
        wanted = _placed(address, body)
        if name_of(wanted) != address.name:
            raise _misnamed(wanted, address)
        if not meta(wanted).get("resourceVersion") and address.kind.plural not in _UNCONDITIONAL:
            cause = (
                "metadata.resourceVersion",
                "FieldValueInvalid",
                "Invalid value: 0: must be specified for an update",
            )
            raise errors.invalid(address.kind, address.name, [cause], of_resource=True)
        return await self.update(address, lambda _old: wanted, write=write)

    async def update(self, address: Address, change: Change, *, write: Write) -> Object:
        """Write `change(old)`; what PUT and PATCH share."""

        def alter(old: Object) -> Object:
            wanted = change(copy_of(old))
            if not isinstance(wanted, dict):
                raise errors.bad_request("the patched object is no object")
            wanted = _placed(address, wanted)
            if name_of(wanted) != address.name:
                raise _misnamed(wanted, address)
            _check_version(address, old, wanted)
            if address.subresource == "status":
                return make_status_updated(old, wanted)
            return make_updated(address.kind, old, admit(address.kind, wanted, old, strict=write.strict))

        if write.dry:
            old = self._store.get(address.kind, address.namespace, address.name)
            if old is None:
                raise errors.not_found(address.kind, address.name)
            return alter(old)
        written = await self._store.update(address.kind, address.namespace, address.name, alter)
        if meta(written).get("deletionTimestamp") and not meta(written).get("finalizers"):
            await self._store.remove(address.kind, address.namespace, address.name, meta(written)["uid"])
        return written

    async def delete(self, address: Address, preconditions: Preconditions, *, write: Write) -> Object:
        """Remove an object, or mark it where finalizers still hold it. The object as it was comes back."""
        thing = self._store.get(address.kind, address.namespace, address.name)
        if thing is None:
            raise errors.not_found(address.kind, address.name)
        preconditions.check(address, thing)
        if write.dry:
            return thing
        if meta(thing).get("finalizers"):
            return await self._store.update(address.kind, address.namespace, address.name, self._mark_deleted)
        return await self._store.remove(address.kind, address.namespace, address.name, meta(thing)["uid"]) or thing

    def _mark_deleted(self, old: Object) -> Object:
        marked = copy_of(old)
        marked["metadata"].setdefault("deletionTimestamp", timestamp(self._clock()))
        return marked


def _placed(address: Address, body: Object) -> Object:
    """The body with its namespace filled in. Raises ApiError when it names another kind or namespace."""
    if not isinstance(body, dict):
        raise errors.bad_request("the body of the request is no object")
    placed = copy_of(body)
    metadata = placed.setdefault("metadata", {})
    kind = address.kind
    expected = (kind.api_version, kind.kind)
    given = (placed.setdefault("apiVersion", kind.api_version), placed.setdefault("kind", kind.kind))
    if not isinstance(metadata, dict) or given != expected:
        found = f"{given[0]}, Kind={given[1]}"
        raise errors.bad_request(
            f"the object provided is unrecognized: got {found}, want {expected[0]}, Kind={kind.kind}"
        )
    if kind.namespaced:
        if metadata.setdefault("namespace", address.namespace) != address.namespace:
            message = "the namespace of the provided object does not match the namespace sent on the request"
            raise errors.bad_request(message)
    else:
        metadata.pop("namespace", None)
    return placed


def _misnamed(wanted: Object, address: Address) -> errors.ApiError:
    message = f"the name of the object ({name_of(wanted)}) does not match the name on the URL ({address.name})"
    return errors.bad_request(message)


def _check_version(address: Address, old: Object, wanted: Object) -> None:
    version, uid = meta(wanted).get("resourceVersion"), meta(wanted).get("uid")
    if version and version != meta(old)["resourceVersion"]:
        raise errors.conflict(address.kind, address.name)
    if uid and uid != meta(old)["uid"]:
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {meta(old)['uid']}"
        raise errors.conflict(address.kind, address.name, why)
