"""Admission: what is defaulted into an object and what is refused, by kind. Pure.

The order is Kubernetes': mutating webhook, the API server's own checks, validating webhook.
"""

import dataclasses
from collections.abc import Callable

from knative_embedded.admission import core, eventing, ping, podspec, serving
from knative_embedded.admission.fielderrors import Errors, render
from knative_embedded.admission.names import (
    complain_dns_1123_label,
    complain_dns_1123_subdomain,
    complain_label_value,
)
from knative_embedded.admission.stamps import stamp, validate_stamps
from knative_embedded.api import errors
from knative_embedded.kinds import Kind
from knative_embedded.objects import Object, labels_of, meta, spec_of

SERVING = "validation.webhook.serving.knative.dev"
EVENTING = "validation.webhook.eventing.knative.dev"


@dataclasses.dataclass(frozen=True)
class Rules:
    """How one kind is admitted. `default` and `validate` get the new object and the old one, None at creation."""

    default: Callable[[Object, Object | None], Object]
    validate: Callable[[Object, Object | None], Errors]
    webhook: str


RULES = {
    "services.serving.knative.dev": Rules(serving.default_service, serving.validate_service, SERVING),
    "configurations.serving.knative.dev": Rules(serving.default_configuration, serving.validate_configuration, SERVING),
    "revisions.serving.knative.dev": Rules(serving.default_revision, serving.validate_revision, SERVING),
    "routes.serving.knative.dev": Rules(serving.default_route, serving.validate_route, SERVING),
    "brokers.eventing.knative.dev": Rules(eventing.default_broker, eventing.validate_broker, EVENTING),
    "triggers.eventing.knative.dev": Rules(eventing.default_trigger, eventing.validate_trigger, EVENTING),
    "pingsources.sources.knative.dev": Rules(ping.default_ping_source, ping.validate_ping_source, EVENTING),
}


def admit(kind: Kind, new: Object, old: Object | None, *, strict: bool = False) -> Object:
    """The object as it may be stored. Raises ApiError with the words of the real webhook or API server.

    `strict` refuses unknown fields before any webhook, as the API server does with fieldValidation=Strict.
    """
    core.check_metadata(kind, new)
    if strict:
        _check_fields(kind, new)
    rules = RULES.get(kind.resource)
    if rules is None:
        _check_name(kind, new)
        return core.admit(kind, new, old)
    try:
        admitted = rules.default(new, old)
        stamp(kind, admitted, old)
        _check_name(kind, admitted)
        found = rules.validate(admitted, old) + validate_stamps(admitted, old)
    except (AttributeError, TypeError, KeyError) as error:
        message = f"{kind.kind} in version {kind.version!r} cannot be handled as a {kind.kind}: {error}"
        raise errors.bad_request(message) from None
    if found:
        raise errors.denied(rules.webhook, f"validation failed: {render(found)}")
    return admitted


def _check_fields(kind: Kind, thing: Object) -> None:
    template = spec_of(thing).get("template")
    if kind.group != "serving.knative.dev" or not isinstance(template, dict):
        return
    unknown = podspec.find_unknown_fields(spec_of(template))
    if unknown:
        fields = ", ".join(f'unknown field "spec.template.spec.{field}"' for field in unknown)
        message = f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}'
        raise errors.bad_request(f"{message}: strict decoding error: {fields}")


def _check_name(kind: Kind, thing: Object) -> None:
    name = meta(thing).get("name", "")
    if not name:
        message = "Required value: name or generateName is required"
        raise errors.invalid(kind, "", [("metadata.name", "FieldValueRequired", message)])
    complain = complain_dns_1123_label if kind.plural == "namespaces" else complain_dns_1123_subdomain
    if complaint := complain(name):
        message = f'Invalid value: "{name}": {complaint}'
        raise errors.invalid(kind, name, [("metadata.name", "FieldValueInvalid", message)])
    for value in labels_of(thing).values():
        if complaint := complain_label_value(value):
            message = f'Invalid value: "{value}": {complaint}'
            raise errors.invalid(kind, name, [("metadata.labels", "FieldValueInvalid", message)])
