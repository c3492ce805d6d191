"""Garbage collection: what belonged to an object goes after it. Kubernetes' background propagation."""

from collections.abc import Iterable

from knative_embedded.kinds import KINDS, NAMESPACE, Kind
from knative_embedded.objects import Object, meta, name_of, namespace_of, uid_of
from knative_embedded.state.history import Change
from knative_embedded.state.index import OWNER
from knative_embedded.state.store import Store


class Collector:
    """Removes the dependents of removed objects, and the content of removed namespaces."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def collect(self, change: Change) -> None:
        """Follow one removal."""
        if change.after is not None:
            return
        for kind, thing in self._left_behind(change):
            if not kind.read_only:
                await self._store.remove(kind, namespace_of(thing), name_of(thing), uid_of(thing))

    def _left_behind(self, change: Change) -> Iterable[tuple[Kind, Object]]:
        gone = change.last
        found = [(kind, thing) for kind in KINDS for thing in self._store.list(kind, "", (OWNER, uid_of(gone)))]
        if change.kind is NAMESPACE:
            inside = [(kind, thing) for kind in KINDS for thing in self._store.list(kind, name_of(gone))]
            found.extend(inside)
        return found

    async def sweep(self) -> None:
        """At start: remove what lost its owner while nobody looked."""
        known = {uid_of(thing) for _, thing in self._store.everything()}
        for kind, thing in self._store.everything():
            owners = [reference["uid"] for reference in meta(thing).get("ownerReferences") or []]
            if owners and not known.intersection(owners):
                await self._store.remove(kind, namespace_of(thing), name_of(thing), uid_of(thing))
