"""Frozen dataclasses to JSON and back, checked: a small decoder, because a wake cannot afford a large one.

Understands int, float, str, bool, None, unions with None, collections of one type (which are read as tuples), and
dataclasses of these. Fields that it does not know are ignored, so that a later version may add some, with a default for
records that lack it; any other missing field or a wrong type is ManifestError.
"""

import dataclasses
import io
import json
import types
import typing
from collections.abc import Callable, Collection, Iterator
from functools import cache
from itertools import islice
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from mlflow_on_demand.errors import ManifestError

Record = TypeVar("Record")
Decoder = Callable[[Any, str], Any]
"""Takes a value, and the words for where it stands."""


def _to_mapping(record: Any) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}


_AT_ONCE = 64
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
    elif isinstance(value, Collection) and not isinstance(value, str):
        left = iter(value)
        yield "["
        for number, some in enumerate(iter(lambda: list(islice(left, _AT_ONCE)), [])):
            yield f"{',' if number else ''}{_ENCODER.encode(some)[1:-1]}"
        yield "]"
    else:
        yield _ENCODER.encode(value)


def from_json(kind: type[Record], content: bytes) -> Record:
    """The record in `content`; ManifestError names the field that is missing or of the wrong type."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        raise ManifestError("is no JSON") from None
    return typing.cast("Record", _decoder_of(typing.cast("Any", kind))(value, "it"))


@cache
def _decoder_of(kind: Any) -> Decoder:
    """Makes a value of a type from what JSON knows. Kept: a manifest has thousands of values of a few types."""
    if dataclasses.is_dataclass(kind):
        return _decoder_of_dataclass(kind)
    origin = get_origin(kind)
    if origin in (tuple, Collection):
        return _decoder_of_tuple(_decoder_of(get_args(kind)[0]))
    if origin in (types.UnionType, typing.Union):
        [option] = [option for option in get_args(kind) if option is not type(None)]
        decode_some = _decoder_of(option)
        return lambda value, where: None if value is None else decode_some(value, where)

    def decode(value: Any, where: str) -> Any:
        if type(value) is kind:
            return value
        if kind is float and type(value) is int:
            return float(value)
        raise ManifestError(f"{where} is no {kind.__name__}")

    return decode


def _decoder_of_tuple(decode_item: Decoder) -> Decoder:
    def decode(value: Any, where: str) -> Any:
        if not isinstance(value, list):
            raise ManifestError(f"{where} is no list")
        return tuple([decode_item(item, f"{where}[{index}]") for index, item in enumerate(value)])

    return decode


def _decoder_of_dataclass(kind: Any) -> Decoder:
    fields = {name: _decoder_of(hint) for name, hint in get_type_hints(kind).items()}
    needed = [field.name for field in dataclasses.fields(kind) if field.default is dataclasses.MISSING]

    def decode(value: Any, where: str) -> Any:
        if not isinstance(value, dict):
            raise ManifestError(f"{where} is no object")
        for name in needed:
            if name not in value:
                raise ManifestError(f"{where} lacks the field '{name}'")
        return kind(**{name: decode_field(value[name], name) for name, decode_field in fields.items() if name in value})

    return decode
