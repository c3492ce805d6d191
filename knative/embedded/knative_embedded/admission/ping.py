"""Defaulting and validation of PingSources. Pure.

Source: knative/eventing pkg/apis/sources/v1/ping_validation.go: a standard cron line with optional seconds, or one of
robfig's descriptors; `@every` is refused by name.
"""

import base64
import binascii
import json

from knative_embedded.admission.eventing import validate_destination
from knative_embedded.admission.fielderrors import Errors, invalid_value, multiple_one_of, via
from knative_embedded.eventing.cron import parse_schedule
from knative_embedded.objects import Object, copy_of, spec_of

DATA_MAX = 128 * 1024


def default_ping_source(new: Object, _old: Object | None) -> Object:
    """Every minute, where no schedule is given."""
    made = copy_of(new)
    spec = made.setdefault("spec", {})
    spec["schedule"] = spec.get("schedule") or "* * * * *"
    return made


def validate_ping_source(new: Object, _old: Object | None) -> Errors:
    """Schedule, timezone, data and sink."""
    spec = spec_of(new)
    found: Errors = []
    if "@every" in spec["schedule"]:
        found.append(invalid_value("unsupported descriptor @every", "schedule"))
    else:
        try:
            parse_schedule(spec["schedule"], spec.get("timezone") or "")
        except LookupError as error:
            found.append(invalid_value(f"provided bad location {spec['timezone']}: {error.args[0]}", "timezone"))
        except ValueError as error:
            found.append(invalid_value(str(error), "schedule"))
    found += via(validate_destination(spec.get("sink") or {}), "sink")
    return via(found + _validate_data(spec), "spec")


def _validate_data(spec: Object) -> Errors:
    plain, encoded = spec.get("data") or "", spec.get("dataBase64") or ""
    if plain and encoded:
        return [multiple_one_of("data", "dataBase64")]
    field, value = ("dataBase64", encoded) if encoded else ("data", plain)
    found: Errors = []
    if len(value) > DATA_MAX:
        text = f"the {field} length of {len(value)} bytes exceeds limit set at {DATA_MAX}."
        found.append(invalid_value(text, field))
    if not value:
        return found
    try:
        body = base64.b64decode(value, validate=True) if encoded else value.encode()
        if spec.get("contentType") == "application/json":
            json.loads(body)
    except (binascii.Error, ValueError) as error:
        found.append(invalid_value(error, field))
    return found
