"""The protobuf bodies that `kubectl create` sends for the kinds of Kubernetes itself. Pure.

Only requests are read; answers are always JSON, which those clients take as well. Field numbers: k8s.io/api core/v1 and
k8s.io/apimachinery meta/v1 and runtime, generated.proto. Malformed input raises ValueError.
"""

import base64
import dataclasses
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

from knative_embedded.objects import Object

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\x00"


class Shape(StrEnum):
    """How a field's payload is read."""

    TEXT = "text"
    TEXTS = "texts"
    TEXT_MAP = "text map"
    BYTES_MAP = "bytes map"
    TRUTH = "truth"
    MESSAGE = "message"
    MESSAGES = "messages"


@dataclasses.dataclass(frozen=True)
class Field:
    """One field of a message: its JSON name, its shape and, for messages, their fields."""

    name: str
    shape: Shape
    fields: "dict[int, Field] | None" = None


_OWNER = {
    1: Field("kind", Shape.TEXT),
    3: Field("name", Shape.TEXT),
    4: Field("uid", Shape.TEXT),
    5: Field("apiVersion", Shape.TEXT),
    6: Field("controller", Shape.TRUTH),
    7: Field("blockOwnerDeletion", Shape.TRUTH),
}
_METADATA = {
    1: Field("name", Shape.TEXT),
    2: Field("generateName", Shape.TEXT),
    3: Field("namespace", Shape.TEXT),
    5: Field("uid", Shape.TEXT),
    6: Field("resourceVersion", Shape.TEXT),
    11: Field("labels", Shape.TEXT_MAP),
    12: Field("annotations", Shape.TEXT_MAP),
    13: Field("ownerReferences", Shape.MESSAGES, _OWNER),
    14: Field("finalizers", Shape.TEXTS),
}
_TOP = Field("metadata", Shape.MESSAGE, _METADATA)
KINDS: dict[tuple[str, str], dict[int, Field]] = {
    ("v1", "ConfigMap"): {
        1: _TOP,
        2: Field("data", Shape.TEXT_MAP),
        3: Field("binaryData", Shape.BYTES_MAP),
        4: Field("immutable", Shape.TRUTH),
    },
    ("v1", "Secret"): {
        1: _TOP,
        2: Field("data", Shape.BYTES_MAP),
        3: Field("type", Shape.TEXT),
        4: Field("stringData", Shape.TEXT_MAP),
        5: Field("immutable", Shape.TRUTH),
    },
    ("v1", "Namespace"): {1: _TOP},
}


def decode(body: bytes) -> Object:
    """The object in a request's body. Raises ValueError for other kinds and for broken bodies."""
    if not body.startswith(_MAGIC):
        raise ValueError("the body does not begin as Kubernetes' protobuf does")
    envelope = dict(_split(body[len(_MAGIC) :]))
    kinds = {number: _text(value) for number, value in _split(_bytes(envelope.get(1, b"")))}
    identity = kinds.get(1, ""), kinds.get(2, "")
    if identity not in KINDS:
        raise ValueError(f"protobuf is not read for {identity[0]} {identity[1]}: send JSON")
    found = _decode_message(_bytes(envelope.get(2, b"")), KINDS[identity])
    return {"apiVersion": identity[0], "kind": identity[1], **found}


def _split(payload: bytes) -> Iterator[tuple[int, bytes | int]]:
    """The fields of a message: number, and bytes or a varint."""
    position = 0
    while position < len(payload):
        key, position = _varint(payload, position)
        number, wire = key >> 3, key & 7
        value, position = _varint(payload, position) if wire in {0, 2} else (0, position)
        if wire == 0:
            yield number, value
            continue
        length = {1: 8, 2: value, 5: 4}.get(wire)
        if length is None or position + length > len(payload):
            raise ValueError("the protobuf body is broken")
        yield number, payload[position : position + length]
        position += length


def _varint(payload: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if position >= len(payload) or shift > 63:
            raise ValueError("the protobuf body is broken")
        byte = payload[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position


def _bytes(value: bytes | int) -> bytes:
    if isinstance(value, int):
        raise ValueError("the protobuf body is broken")  # noqa: TRY004 (the input is at fault)
    return value


def _text(value: bytes | int) -> str:
    return _bytes(value).decode()


def _decode_message(payload: bytes, fields: dict[int, Field]) -> Object:
    made: dict[str, Any] = {}
    for number, value in _split(payload):
        field = fields.get(number)
        if field is not None:
            _put(made, field, value)
    return {key: value for key, value in made.items() if value not in ("", {}, [])}


def _put(made: dict[str, Any], field: Field, value: bytes | int) -> None:
    name = field.name
    match field.shape:
        case Shape.TEXT:
            made[name] = _text(value)
        case Shape.TRUTH:
            made[name] = bool(value)
        case Shape.TEXTS:
            made.setdefault(name, []).append(_text(value))
        case Shape.MESSAGE:
            made[name] = _decode_message(_bytes(value), field.fields or {})
        case Shape.MESSAGES:
            made.setdefault(name, []).append(_decode_message(_bytes(value), field.fields or {}))
        case Shape.TEXT_MAP:
            entry = dict(_split(_bytes(value)))
            made.setdefault(name, {})[_text(entry.get(1, b""))] = _text(entry.get(2, b""))
        case Shape.BYTES_MAP:
            entry = dict(_split(_bytes(value)))
            made.setdefault(name, {})[_text(entry.get(1, b""))] = base64.b64encode(_bytes(entry.get(2, b""))).decode()
