"""Whether a newer MLflow answers what the present one answered: a pure comparison of JSON, with the first difference.

Promises: what is lost or changed is a difference, at any depth; what a newer release adds is none: more fields of an
object, and more of MLflow's own tags (`mlflow.…`). Items that carry a `key` of their own (metrics, parameters, tags)
are told apart by it, for MLflow gives them no order; points of a history neither. All else keeps its order: a page of
runs is sorted. A field that was null may be left out, a page's token is opaque, and 1 and 1.0 are the same number.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

_OPAQUE: Final = frozenset({"next_page_token", "nextPageToken"})
_ADDED: Final = "mlflow."
_SHOWN: Final = 80
_POINT: Final = frozenset({"key", "value", "step", "timestamp"})


def find_difference(before: Any, now: Any) -> str | None:
    """Where `now` first loses or changes what `before` says, such as `runs[3].data.metrics: loss is 0.25 instead of
    0.5`; None when it does not. Both are what `json.loads` gives.
    """
    return next(_differences("", before, now), None)


def _differences(path: str, before: Any, now: Any) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        yield from _compare_objects(path, before, now)
    elif isinstance(before, list) and isinstance(now, list):
        yield from _compare_lists(path, before, now)
    elif not _same(before, now):
        where, _, name = path.rpartition(".")
        yield f"{where}: {_change(name, before, now)}" if where else _change(name or "the answer", before, now)


def _compare_objects(path: str, before: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    for name, value in before.items():
        if name in _OPAQUE:
            yield from _compare_tokens(path, name, value, now.get(name))
        elif name in now:
            yield from _differences(f"{path}.{name}" if path else name, value, now[name])
        elif value is not None:
            yield _at(path, f"{name} is missing")


def _compare_tokens(path: str, name: str, before: Any, now: Any) -> Iterator[str]:
    if bool(before) != bool(now):
        yield _at(path, f"{name} is {'there' if now else 'missing'}")


def _compare_lists(path: str, before: list[Any], now: list[Any]) -> Iterator[str]:
    keyed = _by_key(before), _by_key(now)
    if keyed[0] is not None and keyed[1] is not None:
        yield from _compare_keyed(path, keyed[0], keyed[1])
        return
    if _are_points(before) and _are_points(now):
        before, now = sorted(before, key=_order), sorted(now, key=_order)
    if len(before) != len(now):
        yield _at(path, f"{len(now)} instead of {len(before)}")
    for index, (one, other) in enumerate(zip(before, now, strict=False)):
        yield from _differences(f"{path}[{index}]", one, other)


def _compare_keyed(path: str, before: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    for key, item in before.items():
        if key not in now:
            yield _at(path, f"{key} is missing")
            continue
        other = now[key]
        if "value" in item and "value" in other and not _same(item["value"], other["value"]):
            yield _at(path, _change(key, item["value"], other["value"]))
        yield from _compare_objects(f"{path}[{key}]", item, other)
    for key in now.keys() - before.keys():
        if not key.startswith(_ADDED):
            yield _at(path, f"{key} was not there")


def _by_key(items: list[Any]) -> dict[str, Any] | None:
    """Items by their key, if each has one of its own."""
    if not all(isinstance(item, dict) and isinstance(item.get("key"), str) for item in items):
        return None
    keyed = {item["key"]: item for item in items}
    return keyed if len(keyed) == len(items) else None


def _are_points(items: list[Any]) -> bool:
    return all(isinstance(item, dict) and item.keys() >= _POINT for item in items)


def _order(point: dict[str, Any]) -> str:
    known = {name: point.get(name) for name in ("run_id", "step", "timestamp", "value", "key")}
    return json.dumps(known)


def _same(before: Any, now: Any) -> bool:
    if isinstance(before, bool) or isinstance(now, bool):
        return before is now
    return bool(before == now or (before != before and now != now))  # noqa: PLR0124 (NaN, which MLflow sends as it is)


def _change(name: str, before: Any, now: Any) -> str:
    return f"{name} is {_show(now)} instead of {_show(before)}"


def _show(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _at(path: str, what: str) -> str:
    return f"{path}: {what}" if path else what
