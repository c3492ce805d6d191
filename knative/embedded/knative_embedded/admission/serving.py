"""Defaulting and validation of Services, Configurations, Revisions and Routes. Pure.

Source: knative/serving pkg/apis/serving/v1 (*_defaults.go, *_validation.go, route_validation.go).
"""

from typing import Any

from knative_embedded import labels
from knative_embedded.admission import autoscaling, podspec
from knative_embedded.admission.fielderrors import (
    CURRENT,
    Errors,
    FieldError,
    disallowed,
    invalid_key,
    invalid_value,
    missing_one_of,
    multiple_one_of,
    out_of_bounds,
    via,
)
from knative_embedded.admission.names import complain_dns_1035_label
from knative_embedded.durations import parse_go_duration
from knative_embedded.objects import Object, annotations_of, copy_of, meta, name_of, spec_of

_TEMPLATE_METADATA = {"annotations", "finalizers", "labels", "name", "namespace"}
"""What the schema has of a template's metadata: the null `creationTimestamp` that Go clients send is not there."""


def default_service(new: Object, old: Object | None) -> Object:
    """The template's defaults and, without a traffic block, all traffic to the latest Revision."""
    made = default_configuration(new, old)
    spec = made["spec"]
    spec["traffic"] = spec.get("traffic") or [{"latestRevision": True, "percent": 100}]
    for target in spec["traffic"]:
        _default_target(target)
    return made


def default_configuration(new: Object, old: Object | None) -> Object:
    """The template's defaults."""
    made = copy_of(new)
    template = made.setdefault("spec", {}).setdefault("template", {})
    said = (template.get("metadata") or {}).items()
    template["metadata"] = {key: value for key, value in said if key in _TEMPLATE_METADATA and value is not None}
    template["spec"] = podspec.default_revision_spec(template.get("spec") or {}, creating=old is None)
    return made


def default_revision(new: Object, old: Object | None) -> Object:
    """A Revision is defaulted at creation only: it never changes after."""
    if old is not None:
        return new
    made = copy_of(new)
    made["spec"] = podspec.default_revision_spec(made.get("spec") or {}, creating=True)
    return made


def default_route(new: Object, _old: Object | None) -> Object:
    """LatestRevision says whether a target floats; without a percent it gets no share."""
    made = copy_of(new)
    for target in made.setdefault("spec", {}).setdefault("traffic", []):
        _default_target(target)
    return made


def _default_target(target: Object) -> None:
    target.setdefault("latestRevision", not target.get("revisionName"))
    target.setdefault("percent", 0)


def validate_service(new: Object, old: Object | None) -> Errors:
    """Metadata, template, traffic, and that a named template changes its name when it changes."""
    found = via(_validate_metadata(new), "metadata")
    found += via(_validate_template(spec_of(new)["template"], name_of(new)), "spec", "template")
    found += via(_validate_traffic(spec_of(new)["traffic"], in_service=True), "spec", "traffic")
    if old is not None:
        found += via(_validate_name_change(spec_of(new)["template"], spec_of(old)["template"]), "spec", "template")
    return found


def validate_configuration(new: Object, old: Object | None) -> Errors:
    """Metadata and template."""
    found = via(_validate_metadata(new), "metadata")
    found += via(_validate_template(spec_of(new)["template"], name_of(new)), "spec", "template")
    if old is not None:
        found += via(_validate_name_change(spec_of(new)["template"], spec_of(old)["template"]), "spec", "template")
    return found


def validate_revision(new: Object, old: Object | None) -> Errors:
    """At creation the spec; later, that it is the same."""
    found = via(_validate_name(new), "metadata")
    found += via(autoscaling.validate_annotations(annotations_of(new)), "metadata", "annotations")
    if old is not None:
        if spec_of(new) != spec_of(old):
            found.append(FieldError("Immutable fields changed (-old +new)", ("spec",), _difference(old, new)))
        return found
    return found + via(podspec.validate_revision_spec(spec_of(new)), "spec")


def validate_route(new: Object, _old: Object | None) -> Errors:
    """Metadata and traffic."""
    found = via(_validate_metadata(new), "metadata")
    return found + via(_validate_traffic(spec_of(new)["traffic"], in_service=False), "spec", "traffic")


def _validate_name(thing: Object) -> Errors:
    if complaint := complain_dns_1035_label(name_of(thing)):
        return [FieldError(f"not a DNS 1035 label: [{complaint}]", ("name",))]
    return []


def _validate_metadata(thing: Object) -> Errors:
    found = _validate_name(thing)
    hint = 'autoscaling annotations must be put under "spec.template.metadata.annotations" to work'
    annotations = annotations_of(thing)
    misplaced = [key for key in annotations if key.startswith(labels.AUTOSCALING)]
    found += via([invalid_key(key, CURRENT, hint) for key in misplaced], "annotations")
    return found + via(_validate_whole_seconds(annotations, labels.ROLLOUT_DURATION), "annotations")


def _validate_whole_seconds(annotations: dict[str, str], key: str) -> Errors:
    value, short = annotations.get(key), key.rpartition("/")[2]
    if not value:
        return []
    try:
        seconds = parse_go_duration(value)
    except ValueError:
        return [invalid_value(value, key)]
    if seconds != int(seconds):
        return [FieldError(f"{short}={value} is not at second precision", (key,))]
    return [FieldError(f"{short}={value} must be positive", (key,))] if seconds < 0 else []


def _validate_template(template: Object, parent: str) -> Errors:
    annotations = annotations_of(template)
    found = via(podspec.validate_revision_spec(template["spec"]), "spec")
    found += via(autoscaling.validate_annotations(annotations), "metadata", "annotations")
    found += via(_validate_whole_seconds(annotations, labels.PROGRESS_DEADLINE), "metadata", "annotations")
    name = meta(template).get("name")
    if name and (complaint := complain_dns_1035_label(name)):
        found.append(invalid_value(f"not a DNS 1035 label: [{complaint}]", "metadata.name"))
    elif name and not name.startswith(f"{parent}-"):
        found.append(invalid_value(f'"{name}" must have prefix "{parent}-"', "metadata.name"))
    return found


def _validate_name_change(new: Object, old: Object) -> Errors:
    name = meta(new).get("name")
    if not name or name != meta(old).get("name") or new == old:
        return []
    message = "Saw the following changes without a name change (-old +new)"
    return [FieldError(message, ("metadata.name",), _difference(old, new))]


def _difference(old: Any, new: Any, path: str = "") -> str:
    """The changed leaves, one a line."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = sorted(old.keys() | new.keys())
        lines = [
            _difference(old.get(key), new.get(key), f"{path}.{key}") for key in keys if old.get(key) != new.get(key)
        ]
        return "\n".join(lines)
    return f"{path}:\n\t-: {old!r}\n\t+: {new!r}"


def _validate_traffic(traffic: list[Object], *, in_service: bool) -> Errors:
    found: Errors = []
    tags: dict[str, int] = {}
    for number, target in enumerate(traffic):
        found += via(_validate_target(target, in_service=in_service), f"[{number}]")
        tag = target.get("tag")
        if not tag:
            continue
        if complaint := complain_dns_1035_label(tag):
            found.append(invalid_value(f"not a DNS 1035 label: [{complaint}]", f"tag[{number}]"))
        if tag in tags:
            found.append(FieldError(f'Multiple definitions for "{tag}"', (f"[{number}].tag", f"[{tags[tag]}].tag")))
        tags.setdefault(tag, number)
    total = sum(target.get("percent") or 0 for target in traffic)
    if total != 100:
        found.append(FieldError(f"Traffic targets sum to {total}, want 100", (CURRENT,)))
    return found


def _validate_target(target: Object, *, in_service: bool) -> Errors:
    found: Errors = []
    revision, configuration = target.get("revisionName"), target.get("configurationName")
    floats = target.get("latestRevision")
    if floats is not None and bool(revision) == floats:
        message = f'may not set revisionName "{revision or ""}" when latestRevision is {str(floats).lower()}'
        found.append(FieldError(message, ("latestRevision",)))
    if in_service and configuration:
        found.append(disallowed("configurationName"))
    elif revision and configuration:
        found.append(multiple_one_of("revisionName", "configurationName"))
    elif not in_service and not revision and not configuration:
        found.append(missing_one_of("revisionName", "configurationName"))
    percent = target.get("percent")
    if percent is not None and not 0 <= percent <= 100:
        found.append(out_of_bounds(percent, 0, 100, "percent"))
    if target.get("url"):
        found.append(disallowed("url"))
    return found
