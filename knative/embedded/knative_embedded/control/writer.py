"""How controllers write: only what differs, and only onto the very object they have looked at."""

from knative_embedded.api.errors import ApiError
from knative_embedded.kinds import Kind
from knative_embedded.objects import Object, name_of, namespace_of, uid_of
from knative_embedded.state.metadata import make_status_updated, make_updated
from knative_embedded.state.store import Alter, Store


class Writer:
    """Writes of controllers; an object that is gone meanwhile is no error."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def write(self, kind: Kind, seen: Object, wanted: Object) -> Object | None:
        """Labels, annotations and spec; None when the object is gone or another one."""
        return await self._alter(kind, seen, lambda old: make_updated(kind, old, wanted))

    async def write_status(self, kind: Kind, seen: Object, status: Object) -> Object | None:
        """The status."""
        return await self._alter(kind, seen, lambda old: make_status_updated(old, {"status": status}))

    async def _alter(self, kind: Kind, seen: Object, change: Alter) -> Object | None:
        def alter(old: Object) -> Object:
            return change(old) if uid_of(old) == uid_of(seen) else old

        try:
            return await self._store.update(kind, namespace_of(seen), name_of(seen), alter)
        except ApiError:
            return None
