"""JSON Merge Patch (RFC 7386), JSON Patch (RFC 6902) and the strategic merge of the core kinds served here. Pure.

Promise: the document given is never changed. A patch that cannot be applied raises PatchError with the reason.
"""

import copy
from typing import Any


class PatchError(Exception):
    """The patch is malformed, or does not fit the document."""


def apply_merge_patch(document: Any, patch: Any) -> Any:
    """RFC 7386: null removes, objects merge, everything else replaces."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = copy.deepcopy(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = apply_merge_patch(result.get(key), value)
    return result


def apply_strategic_patch(document: Any, patch: Any) -> Any:
    """A strategic merge for kinds whose only merged lists are metadata.finalizers and metadata.ownerReferences.

    Directives (`$patch`, `$retainKeys`, `$setElementOrder/…`, `$deleteFromPrimitiveList/…`) are read where they matter
    for those kinds: a replaced map, and removed finalizers.
    """
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    if patch.get("$patch") == "replace":
        return apply_merge_patch({}, {key: value for key, value in patch.items() if key != "$patch"})
    if patch.get("$patch") == "delete":
        return {}
    result = copy.deepcopy(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        if key.startswith("$"):
            _apply_directive(result, key, value)
        elif value is None:
            result.pop(key, None)
        elif key in _MERGED_LISTS and isinstance(value, list):
            result[key] = _merge_list(result.get(key) or [], value, _MERGED_LISTS[key])
        else:
            result[key] = apply_strategic_patch(result.get(key), value)
    return result


_MERGED_LISTS = {"finalizers": "", "ownerReferences": "uid"}


def _apply_directive(result: dict[str, Any], key: str, value: Any) -> None:
    directive, _, field = key.partition("/")
    if directive == "$deleteFromPrimitiveList":
        result[field] = [one for one in result.get(field) or [] if one not in value]
    elif directive == "$retainKeys":
        for stale in [one for one in result if one not in value]:
            del result[stale]


def _merge_list(old: list[Any], new: list[Any], merge_key: str) -> list[Any]:
    if not merge_key:
        return old + [one for one in new if one not in old]
    by_key = {one.get(merge_key): one for one in old}
    for one in new:
        if one.get("$patch") == "delete":
            by_key.pop(one.get(merge_key), None)
        else:
            by_key[one.get(merge_key)] = apply_merge_patch(by_key.get(one.get(merge_key)), one)
    return list(by_key.values())


def apply_json_patch(document: Any, operations: Any) -> Any:
    """RFC 6902, all six operations, in order, all or nothing."""
    if not isinstance(operations, list):
        raise PatchError("a JSON patch is a list of operations")
    result = copy.deepcopy(document)
    for number, operation in enumerate(operations):
        try:
            result = _apply_operation(result, operation)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise PatchError(f"operation {number} ({operation!r}) cannot be applied: {error}") from None
    return result


def _apply_operation(document: Any, operation: dict[str, Any]) -> Any:
    name, path = operation["op"], _parse_pointer(operation["path"])
    if name == "test":
        if _get(document, path) != operation["value"]:
            raise PatchError(f"testing path {operation['path']} failed: the value is another one")
        return document
    if name == "remove":
        return _remove(document, path)
    if name == "add":
        return _add(document, path, copy.deepcopy(operation["value"]))
    if name == "replace":
        _get(document, path)
        return _add(_remove(document, path) if path else None, path, copy.deepcopy(operation["value"]))
    source = _parse_pointer(operation["from"])
    value = copy.deepcopy(_get(document, source))
    if name == "move":
        return _add(_remove(document, source), path, value)
    if name == "copy":
        return _add(document, path, value)
    raise ValueError(f"unknown operation {name!r}")


def _parse_pointer(pointer: str) -> list[str]:
    if pointer == "":
        return []
    if not pointer.startswith("/"):
        raise ValueError(f"{pointer!r} is no JSON pointer")
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/")]


def _index(key: str, length: int) -> int:
    if not key.isascii() or not key.isdigit() or (len(key) > 1 and key[0] == "0"):
        raise ValueError(f"{key!r} is no list index")
    if int(key) >= length:
        raise IndexError(f"index {key} is out of range")
    return int(key)


def _get(document: Any, path: list[str]) -> Any:
    for key in path:
        document = document[_index(key, len(document))] if isinstance(document, list) else document[key]
    return document


def _remove(document: Any, path: list[str]) -> Any:
    if not path:
        return None
    parent, key = _get(document, path[:-1]), path[-1]
    if isinstance(parent, list):
        parent.pop(_index(key, len(parent)))
    else:
        del parent[key]
    return document


def _add(document: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    parent, key = _get(document, path[:-1]), path[-1]
    if isinstance(parent, list):
        parent.insert(len(parent) if key == "-" else _index(key, len(parent) + 1), value)
    elif isinstance(parent, dict):
        parent[key] = value
    else:
        raise TypeError(f"{type(parent).__name__} has no members")
    return document
