"""Label and field selectors. Pure.

Grammar: k8s.io/apimachinery pkg/labels/selector.go: `a=b`, `a==b`, `a!=b`, `a in (b, c)`, `a notin (b, c)`, `a`, `!a`,
joined by commas. Unparsable text raises ValueError with the part that is wrong.
"""

import re
from collections.abc import Callable

from knative_embedded.objects import Object, labels_of, name_of, namespace_of

Predicate = Callable[[Object], bool]

_KEY = r"[A-Za-z0-9./_-]+"
_SET = re.compile(rf"\s*({_KEY})\s+(in|notin)\s*\(([^()]*)\)\s*")
_EQUAL = re.compile(rf"\s*({_KEY})\s*(==|!=|=)\s*([A-Za-z0-9._-]*)\s*")
_EXISTS = re.compile(rf"\s*(!?)\s*({_KEY})\s*")


def parse_label_selector(text: str) -> Predicate:
    """The predicate of a label selector; the empty one selects everything."""
    tests = [_parse_label_requirement(part) for part in _split(text)]
    return lambda thing: all(test(labels_of(thing)) for test in tests)


def equal_labels(text: str) -> list[tuple[str, str]]:
    """The labels and values that a label selector asks for by `=` or `==`; all that it selects has them."""
    found = [_EQUAL.fullmatch(part) for part in _split(text)]
    return [(one[1], one[3]) for one in found if one and one[2] != "!="]


def _split(text: str) -> list[str]:
    """Cut at commas outside parentheses."""
    parts = re.split(r",(?![^()]*\))", text)
    return [part for part in parts if part.strip()]


def _parse_label_requirement(part: str) -> Callable[[dict[str, str]], bool]:
    if found := _SET.fullmatch(part):
        key, operator, listed = found[1], found[2], {one.strip() for one in found[3].split(",")}
        wanted = operator == "in"
        return lambda labels: (labels[key] in listed) is wanted if key in labels else not wanted
    if found := _EQUAL.fullmatch(part):
        key, operator, value = found[1], found[2], found[3]
        if operator == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    if found := _EXISTS.fullmatch(part):
        key, wanted = found[2], not found[1]
        return lambda labels: (key in labels) is wanted
    raise ValueError(f"unable to parse requirement: {part.strip()!r}")


FIELDS: dict[str, Callable[[Object], str]] = {
    "metadata.name": name_of,
    "metadata.namespace": namespace_of,
    "type": lambda thing: str(thing.get("type", "")),
    "reason": lambda thing: str(thing.get("reason", "")),
    "reportingComponent": lambda thing: str(thing.get("reportingComponent", "")),
    "source": lambda thing: str((thing.get("source") or {}).get("component", "")),
    "status.phase": lambda thing: str((thing.get("status") or {}).get("phase", "")),
    "spec.nodeName": lambda thing: str((thing.get("spec") or {}).get("nodeName", "")),
}


def parse_field_selector(text: str) -> Predicate:
    """The predicate of a field selector over the fields that clients use."""
    tests: list[Predicate] = []
    for part in text.split(","):
        if not part.strip():
            continue
        found = re.fullmatch(r"([^=!]+)(==|!=|=)(.*)", part.strip())
        if not found:
            raise ValueError(f"invalid selector: {part!r}; can't understand {part!r}")
        tests.append(_field_test(found[1], found[3], equal=found[2] != "!="))
    return lambda thing: all(test(thing) for test in tests)


def _field_test(field: str, value: str, *, equal: bool) -> Predicate:
    if field.startswith("involvedObject."):
        leaf = field.removeprefix("involvedObject.")
        return lambda thing: (str((thing.get("involvedObject") or {}).get(leaf, "")) == value) is equal
    if field not in FIELDS:
        raise ValueError(f"field label not supported: {field}")
    read = FIELDS[field]
    return lambda thing: (read(thing) == value) is equal
