"""Garbage collection: what belonged to an object goes after it. Kubernetes' background propagation."""

from knative_embedded.kinds import NAMESPACE
from knative_embedded.objects import meta, name_of, namespace_of, uid_of
from knative_embedded.state.history import Change
from knative_embedded.state.store import Store


class Collector:
    """Removes the dependents of removed objects, and the content of removed namespaces."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def collect(self, change: Change) -> None:
        """Follow one removal."""
        if change.after is not None:
            return
        gone = uid_of(change.last)
        for kind, thing in self._store.everything():
            owners = [reference["uid"] for reference in meta(thing).get("ownerReferences") or []]
            inside = change.kind is NAMESPACE and namespace_of(thing) == name_of(change.last)
            if (gone in owners or inside) and not kind.read_only:
                await self._store.remove(kind, namespace_of(thing), name_of(thing), uid_of(thing))

    async def sweep(self) -> None:
        """At start: remove what lost its owner while nobody looked."""
        known = {uid_of(thing) for _, thing in self._store.everything()}
        for kind, thing in self._store.everything():
            owners = [reference["uid"] for reference in meta(thing).get("ownerReferences") or []]
            if owners and not known.intersection(owners):
                await self._store.remove(kind, namespace_of(thing), name_of(thing), uid_of(thing))
