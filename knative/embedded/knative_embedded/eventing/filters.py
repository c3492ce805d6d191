"""Which Triggers an event is for. Pure.

Source: knative/eventing pkg/broker/filter/filter_handler.go, and pkg/eventfilter: `filters`, where there are any,
replace `filter`, of which every attribute must match; there an empty value accepts anything present.
"""

from collections.abc import Callable, Mapping

from knative_embedded.eventing.cloudevents import Event
from knative_embedded.objects import Object, spec_of

DIALECTS: Mapping[str, Callable[[str, str], bool]] = {
    "exact": lambda said, wanted: said == wanted,
    "prefix": str.startswith,
    "suffix": str.endswith,
}
"""What compares an attribute with the filter's value."""


def matches(trigger: Object, event: Event) -> bool:
    """Whether the event passes the Trigger's filters."""
    filters = spec_of(trigger).get("filters")
    if filters:
        return all(_admits(one, event) for one in filters)
    wanted = (spec_of(trigger).get("filter") or {}).get("attributes") or {}
    return all(_passes(event, name, value) for name, value in wanted.items())


def _passes(event: Event, name: str, value: str) -> bool:
    if name not in event.attributes:
        return False
    return value in {"", event.attributes[name]}


def _admits(one: Object, event: Event) -> bool:
    """One filter, which says one dialect; one that says none lets everything through."""
    for dialect, holds in DIALECTS.items():
        if one.get(dialect):
            said = event.attributes
            return all(name in said and holds(said[name], value) for name, value in one[dialect].items())
    if one.get("all"):
        return all(_admits(inner, event) for inner in one["all"])
    if one.get("any"):
        return any(_admits(inner, event) for inner in one["any"])
    return not (one.get("not") and _admits(one["not"], event))
