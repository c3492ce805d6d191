"""Defaulting and checks of the kinds that belong to Kubernetes itself. Pure.

Source: kubernetes pkg/apis/core/validation/validation.go.
"""

import base64
import binascii
from typing import Any

from knative_embedded import labels
from knative_embedded.admission.names import is_config_key
from knative_embedded.api import errors
from knative_embedded.kinds import Kind
from knative_embedded.objects import Object, copy_of, meta, name_of

MAX_DATA = 1024 * 1024


def check_metadata(kind: Kind, thing: Object) -> None:
    """Labels and annotations map text to text. Raises ApiError (bad request)."""
    for field in ("labels", "annotations"):
        found = meta(thing).get(field)
        if found is None:
            continue
        texts = isinstance(found, dict) and all(isinstance(value, str) for value in found.values())
        if not texts:
            raise _unreadable(kind, f"metadata.{field} must map text to text")


def admit(kind: Kind, new: Object, old: Object | None) -> Object:
    """A namespace, ConfigMap, Secret, Event or Lease as it may be stored. Raises ApiError."""
    if kind.plural == "namespaces":
        return _default_namespace(new)
    if kind.plural in {"configmaps", "secrets"}:
        admitted = _default_secret(new) if kind.plural == "secrets" else new
        _check_data(kind, admitted)
        _check_immutable(kind, admitted, old)
        return admitted
    return new


def _unreadable(kind: Kind, why: str) -> errors.ApiError:
    message = f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {why}'
    return errors.bad_request(message)


def _default_namespace(new: Object) -> Object:
    made = copy_of(new)
    made["metadata"].setdefault("labels", {})[labels.NAMESPACE_NAME] = name_of(new)
    made.setdefault("spec", {"finalizers": ["kubernetes"]})
    made["status"] = {"phase": "Active"}
    return made


def _default_secret(new: Object) -> Object:
    made = copy_of(new)
    made.setdefault("type", "Opaque")
    plain = made.pop("stringData", None) or {}
    for key, value in plain.items():
        made.setdefault("data", {})[key] = base64.b64encode(str(value).encode()).decode()
    return made


def _check_data(kind: Kind, thing: Object) -> None:
    size = 0
    for field in ("data", "binaryData"):
        for key, value in (thing.get(field) or {}).items():
            if not is_config_key(key):
                says = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
                message = f'Invalid value: "{key}": {says}'
                raise errors.invalid(kind, name_of(thing), [(f"{field}[{key}]", "FieldValueInvalid", message)])
            if not isinstance(value, str):
                raise _unreadable(kind, f"{field}[{key}] must be text")
            if kind.plural == "secrets" or field == "binaryData":
                _check_base64(kind, value)
            size += len(value)
    if size > MAX_DATA:
        message = f"Too long: may not be more than {MAX_DATA} bytes"
        raise errors.invalid(kind, name_of(thing), [("data", "FieldValueTooLong", message)])


def _check_base64(kind: Kind, value: str) -> None:
    try:
        base64.b64decode(value, validate=True)
    except binascii.Error:
        raise _unreadable(kind, "illegal base64 data") from None


def _check_immutable(kind: Kind, new: Object, old: Object | None) -> None:
    if old is None or not old.get("immutable"):
        return
    for field in ("immutable", "data", "binaryData"):
        found: Any = new.get(field)
        if found != old.get(field):
            message = "Forbidden: field is immutable when `immutable` is set"
            raise errors.invalid(kind, name_of(new), [(field, "FieldValueForbidden", message)])
