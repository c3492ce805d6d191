"""Which Triggers an event is for. Pure.

Source: knative/eventing pkg/eventfilter/attributes/filter.go: exact matches, an empty value accepts anything present.
"""

from knative_embedded.eventing.cloudevents import Event
from knative_embedded.objects import Object, spec_of


def matches(trigger: Object, event: Event) -> bool:
    """Whether the event passes the Trigger's filter."""
    wanted = (spec_of(trigger).get("filter") or {}).get("attributes") or {}
    return all(_passes(event, name, value) for name, value in wanted.items())


def _passes(event: Event, name: str, value: str) -> bool:
    if name not in event.attributes:
        return False
    return value in {"", event.attributes[name]}
