"""Lists, whole or in pieces of `limit` objects with a token to go on from.

Source of the rules: Kubernetes API concepts, "Retrieving large results sets in chunks". All pieces show the objects as
they were when the first one was read: what changed since is undone by the history, and a token that is older than the
history is answered 410 Expired. How many objects remain is said only where nothing selects among them.
"""

import base64
import dataclasses
import itertools
import json
from collections.abc import Mapping

from knative_embedded.api import errors
from knative_embedded.api.address import Address
from knative_embedded.api.selectors import Predicate, equal_labels, parse_field_selector, parse_label_selector
from knative_embedded.kinds import Kind
from knative_embedded.objects import Object, name_of, namespace_of
from knative_embedded.state.history import Expired
from knative_embedded.state.index import Key, Term
from knative_embedded.state.store import Store


@dataclasses.dataclass(frozen=True)
class Selection:
    """What a request selects: `terms` are those that all of it has, for the index."""

    terms: tuple[Term, ...]
    selects: Predicate
    is_everything: bool


def read_selection(query: Mapping[str, str]) -> Selection:
    """The selectors of a request. Raises ApiError (bad request)."""
    labels, fields = query.get("labelSelector", ""), query.get("fieldSelector", "")
    try:
        by_label, by_field = parse_label_selector(labels), parse_field_selector(fields)
    except ValueError as error:
        raise errors.bad_request(str(error)) from None

    def selects(thing: Object) -> bool:
        return by_label(thing) and by_field(thing)

    return Selection(tuple(equal_labels(labels)), selects, is_everything=not (labels or fields))


def select(store: Store, address: Address, selection: Selection) -> list[Object]:
    """All objects of a collection that are selected, by namespace and name."""
    found = store.list(address.kind, address.namespace, *selection.terms)
    return [thing for thing in found if selection.selects(thing)]


def read_list(store: Store, address: Address, query: Mapping[str, str]) -> tuple[list[Object], Object]:
    """The objects that a request lists, and the list's metadata. Raises ApiError (bad request, expired)."""
    selection, limit = read_selection(query), _read_limit(query)
    version, after = _read_token(query.get("continue", ""), store.history.version)
    present = store.list(address.kind, address.namespace, *selection.terms)
    then = {**{_key_of(thing): thing for thing in present}, **_changed_since(store, address, version)}
    keys = (key for key in sorted(then) if after is None or key > after)
    found = (thing for key in keys if (thing := then[key]) is not None and selection.selects(thing))
    shown = list(itertools.islice(found, limit or None))
    metadata: Object = {"resourceVersion": str(version)}
    if limit and next(found, None) is not None:
        metadata["continue"] = _make_token(version, _key_of(shown[-1]))
        if selection.is_everything:
            metadata["remainingItemCount"] = 1 + sum(1 for _ in found)
    return shown, metadata


def _changed_since(store: Store, address: Address, version: int) -> dict[Key, Object | None]:
    """What the collection's objects were at that version, of those that have changed; None for those that were not."""
    try:
        changes = store.history.after(version)
    except Expired:
        message = "The provided continue parameter is too old to display a consistent list result"
        raise errors.ApiError(410, "Expired", message) from None
    return {
        _key_of(change.last): change.before
        for change in reversed(changes)
        if change.kind is address.kind and address.namespace in ("", namespace_of(change.last))
    }


def list_of(kind: Kind, things: list[Object], metadata: Object) -> Object:
    """The response's body."""
    return {"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": metadata, "items": things}


def _read_limit(query: Mapping[str, str]) -> int:
    try:
        return max(0, int(query.get("limit") or 0))
    except ValueError:
        raise errors.bad_request("limit is no number") from None


def _make_token(version: int, last: Key) -> str:
    return base64.urlsafe_b64encode(json.dumps([version, *last]).encode()).decode().rstrip("=")


def _read_token(token: str, newest: int) -> tuple[int, Key | None]:
    """The version of the first piece, and the key of the last object that was shown."""
    if not token:
        return newest, None
    try:
        version, namespace, name = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        return int(version), (str(namespace), str(name))
    except (ValueError, TypeError):
        raise errors.bad_request("continue key is not valid") from None


def _key_of(thing: Object) -> Key:
    return namespace_of(thing), name_of(thing)
