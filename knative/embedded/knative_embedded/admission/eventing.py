"""Defaulting and validation of Brokers and Triggers. Pure.

Source: knative/eventing pkg/apis/eventing/v1 and pkg/apis/duck/v1/delivery_types.go; knative/pkg apis/duck/v1.
"""

import re
from typing import Any
from urllib.parse import urlsplit

from knative_embedded import labels
from knative_embedded.admission.fielderrors import (
    CURRENT,
    Errors,
    FieldError,
    invalid_key,
    invalid_value,
    missing,
    via,
)
from knative_embedded.durations import parse_iso_duration
from knative_embedded.eventing.filters import DIALECTS
from knative_embedded.objects import Object, annotations_of, copy_of, namespace_of, spec_of

CLASS = "MTChannelBasedBroker"
_ATTRIBUTE = re.compile(r"[a-z][a-z0-9]*")
_POLICIES = ("linear", "exponential")
_CONFIG = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "name": "config-br-default-channel",
    "namespace": "knative-eventing",
}


def default_broker(new: Object, _old: Object | None) -> Object:
    """The default class, configuration and delivery of the multi-tenant broker."""
    made = copy_of(new)
    made["metadata"].setdefault("annotations", {}).setdefault(labels.BROKER_CLASS, CLASS)
    spec = made.setdefault("spec", {})
    spec.setdefault("config", dict(_CONFIG))
    spec.setdefault("delivery", {"backoffDelay": "PT0.2S", "backoffPolicy": "exponential", "retry": 10})
    _default_namespace(spec["delivery"].get("deadLetterSink"), namespace_of(new))
    return made


def default_trigger(new: Object, _old: Object | None) -> Object:
    """An empty filter, the broker's label, and the trigger's namespace for its references."""
    made = copy_of(new)
    spec = made.setdefault("spec", {})
    spec.setdefault("filter", {})
    if spec.get("broker"):
        made["metadata"].setdefault("labels", {})[labels.BROKER] = spec["broker"]
    _default_namespace(spec.get("subscriber"), namespace_of(new))
    _default_namespace((spec.get("delivery") or {}).get("deadLetterSink"), namespace_of(new))
    return made


def _default_namespace(destination: Object | None, namespace: str) -> None:
    if destination and destination.get("ref"):
        destination["ref"].setdefault("namespace", namespace)


def validate_broker(new: Object, old: Object | None) -> Errors:
    """Class and delivery; only the delivery may change later."""
    found = via(_validate_delivery(spec_of(new).get("delivery") or {}), "spec", "delivery")
    if old is not None:
        if _without_delivery(new) != _without_delivery(old):
            found.append(FieldError("Immutable fields changed (-old +new)", ("spec",)))
        if annotations_of(new).get(labels.BROKER_CLASS) != annotations_of(old).get(labels.BROKER_CLASS):
            found.append(FieldError("Immutable annotations changed (-old +new)", ("annotations",)))
    return found


def _without_delivery(broker: Object) -> Object:
    return {key: value for key, value in spec_of(broker).items() if key != "delivery"}


def validate_trigger(new: Object, old: Object | None) -> Errors:
    """Broker, filter, subscriber and delivery; the broker may not change later."""
    spec = spec_of(new)
    found: Errors = [] if spec.get("broker") else [missing("broker")]
    found += via(_validate_names((spec.get("filter") or {}).get("attributes") or {}), "filter", "attributes")
    found += via(_validate_filters(spec.get("filters") or []), "filters")
    found += via(validate_destination(spec.get("subscriber") or {}), "subscriber")
    found += via(_validate_delivery(spec.get("delivery") or {}), "delivery")
    found = via(found, "spec")
    if old is not None and spec_of(old).get("broker") != spec.get("broker"):
        found.append(FieldError("Immutable fields changed (-old +new)", ("spec", "broker")))
    return found


def _validate_names(attributes: Object) -> Errors:
    hint = "Attribute name must start with a letter and can only contain lowercase alphanumeric"
    return [invalid_key(name, f"[{name}]", hint) for name in attributes if not _ATTRIBUTE.fullmatch(name)]


def _validate_filters(filters: list[Object]) -> Errors:
    found: Errors = []
    for index, one in enumerate(filters):
        found += via(_validate_filter(one), f"[{index}]")
    return found


def _validate_filter(one: Object) -> Errors:
    """One dialect; `cesql`, a language of its own, is not served here."""
    found: Errors = []
    if sum(bool(one.get(dialect)) for dialect in (*DIALECTS, "all", "any", "not", "cesql")) > 1:
        found.append(FieldError("multiple dialects found, filters can have only one dialect set", (CURRENT,)))
    if one.get("cesql"):
        found.append(FieldError("the embedded runtime does not evaluate CloudEvents SQL", ("cesql",)))
    for dialect in DIALECTS:
        found += via(_validate_names(one.get(dialect) or {}), dialect)
    for dialect in ("all", "any"):
        found += via(_validate_filters(one.get(dialect) or []), dialect)
    return found + (via(_validate_filter(one["not"]), "not") if one.get("not") else [])


def validate_destination(destination: Object) -> Errors:
    """A sink or subscriber: a reference, an absolute URI, or a path relative to a reference."""
    reference, uri = destination.get("ref"), destination.get("uri")
    if not reference and not uri:
        return [FieldError("expected at least one, got none", ("ref", "uri"))]
    if reference:
        if uri and urlsplit(uri).scheme:
            message = "Absolute URI is not allowed when Ref or [apiVersion, kind, name] is present"
            return [FieldError(message, ("[apiVersion, kind, name]", "ref", "uri"))]
        absent = [field for field in ("name", "apiVersion", "kind") if not reference.get(field)]
        return via([missing(field) for field in absent], "ref")
    if not urlsplit(str(uri)).scheme or not urlsplit(str(uri)).netloc:
        return [invalid_value("Relative URI is not allowed when Ref and [apiVersion, kind, name] is absent", "uri")]
    return []


def _validate_delivery(delivery: Object) -> Errors:
    found: Errors = []
    if delivery.get("deadLetterSink") is not None:
        found += via(validate_destination(delivery["deadLetterSink"]), "deadLetterSink")
    for field in ("timeout", "backoffDelay", "retryAfterMax"):
        value = delivery.get(field)
        if value is not None and not _is_duration(value, positive=field == "timeout"):
            found.append(invalid_value(value, field))
    retry = delivery.get("retry")
    if retry is not None and (not isinstance(retry, int) or retry < 0):
        found.append(invalid_value(retry, "retry"))
    policy = delivery.get("backoffPolicy")
    if policy is not None and policy not in _POLICIES:
        found.append(invalid_value(policy, "backoffPolicy"))
    if delivery.get("format") not in {None, "binary", "json"}:
        found.append(invalid_value(delivery["format"], "format"))
    return found


def _is_duration(value: Any, *, positive: bool) -> bool:
    try:
        seconds = parse_iso_duration(str(value))
    except ValueError:
        return False
    return seconds > 0 if positive else seconds >= 0
