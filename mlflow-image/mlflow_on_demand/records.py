"""Frozen dataclasses to JSON and back, checked: a small decoder, because a wake cannot afford a large one.

Understands int, float, str, bool, None, unions with None, tuples of one type, and dataclasses of these. Fields that it
does not know are ignored, so that a later version may add some, with a default for records that lack it; any other
missing field or a wrong type is ManifestError.
"""

import dataclasses
import io
import json
import types
import typing
from collections.abc import Iterator
from functools import cache
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from mlflow_on_demand.errors import ManifestError

Record = TypeVar("Record")


def _to_mapping(record: Any) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}


_ENCODER = json.JSONEncoder(default=_to_mapping, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def to_json(record: Any) -> bytes:
    """The record as JSON on one line, always the same bytes for the same record."""
    out = io.BytesIO()
    out.writelines(piece.encode() for piece in _encode(record))
    out.write(b"\n")
    return out.getvalue()


def _encode(value: Any) -> Iterator[str]:
    """In pieces, for a manifest has thousands of sources: json holds many times the memory of what it makes at once."""
    if dataclasses.is_dataclass(value):
        yield "{"
        for number, (name, one) in enumerate(_to_mapping(value).items()):
            yield f'{"," if number else ""}"{name}":'
            yield from _encode(one)
        yield "}"
    elif isinstance(value, tuple):
        yield "["
        for number, one in enumerate(value):
            yield f"{',' if number else ''}{_ENCODER.encode(one)}"
        yield "]"
    else:
        yield _ENCODER.encode(value)


def from_json(kind: type[Record], content: bytes) -> Record:
    """The record in `content`; ManifestError names the field that is missing or of the wrong type."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        raise ManifestError("is no JSON") from None
    return typing.cast("Record", _decode(kind, value, "it"))


def _decode(kind: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(kind):
        return _decode_dataclass(kind, value, where)
    origin = get_origin(kind)
    if origin is tuple:
        if not isinstance(value, list):
            raise ManifestError(f"{where} is no list")
        return tuple(_decode(get_args(kind)[0], item, f"{where}[{index}]") for index, item in enumerate(value))
    if origin in (types.UnionType, typing.Union):
        options = [option for option in get_args(kind) if option is not type(None)]
        return None if value is None else _decode(options[0], value, where)
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise ManifestError(f"{where} is no {kind.__name__}")
    return value


def _decode_dataclass(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise ManifestError(f"{where} is no object")
    hints, needed = _fields_of(kind)
    for name in needed:
        if name not in value:
            raise ManifestError(f"{where} lacks the field '{name}'")
    return kind(**{name: _decode(hint, value[name], name) for name, hint in hints.items() if name in value})


@cache
def _fields_of(kind: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The types of a dataclass's fields, and the names of those without a default. Kept: a manifest has thousands."""
    needed = (field.name for field in dataclasses.fields(kind) if field.default is dataclasses.MISSING)
    return get_type_hints(kind), tuple(needed)
