"""What objects are found by beside their names, so that a question costs what it answers and not what exists.

A term is a pair: a label and its value, or one of the properties below and its value. No label's key has a colon.
"""

from collections.abc import Iterable

from knative_embedded.kinds import ROUTE, Kind
from knative_embedded.objects import Object, labels_of, meta, name_of, namespace_of, spec_of, status_of

Key = tuple[str, str]
Term = tuple[str, str]

OWNER = "owner:"
"""The uid of an owner."""
HOST = "host:"
"""What a Route is reached by: its name, and `<tag>-<name>`."""
TARGET = "target:"
"""A Configuration or Revision that a Route's traffic names, wanted or observed."""


def terms_of(kind: Kind, thing: Object | None) -> set[Term]:
    """All that an object is found by."""
    if thing is None:
        return set()
    owners = {(OWNER, str(reference["uid"])) for reference in meta(thing).get("ownerReferences") or []}
    return {*labels_of(thing).items(), *owners, *(_terms_of_route(thing) if kind is ROUTE else ())}


def _terms_of_route(route: Object) -> Iterable[Term]:
    yield HOST, name_of(route)
    observed = status_of(route).get("traffic") or []
    for target in observed:
        if target.get("tag"):
            yield HOST, f"{target['tag']}-{name_of(route)}"
    for target in (*(spec_of(route).get("traffic") or []), *observed):
        for field in ("configurationName", "revisionName"):
            if target.get(field):
                yield TARGET, target[field]


class Index:
    """The keys of all objects, by kind and term."""

    def __init__(self) -> None:
        self._keys: dict[tuple[str, Term], set[Key]] = {}

    def follow(self, kind: Kind, before: Object | None, after: Object | None) -> None:
        """An object came, changed or went."""
        key = _key_of(before or after or {})
        old, new = terms_of(kind, before), terms_of(kind, after)
        for term in new - old:
            self._keys.setdefault((kind.resource, term), set()).add(key)
        for term in old - new:
            keys = self._keys[kind.resource, term]
            keys.discard(key)
            if not keys:
                del self._keys[kind.resource, term]

    def find(self, kind: Kind, terms: Iterable[Term]) -> set[Key]:
        """The keys of those that have every one of at least one term."""
        return set.intersection(*(self._keys.get((kind.resource, term), set()) for term in terms))


def _key_of(thing: Object) -> Key:
    return namespace_of(thing), name_of(thing)
