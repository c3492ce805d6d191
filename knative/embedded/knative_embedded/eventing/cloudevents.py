"""CloudEvents 1.0 over HTTP: both content modes in, binary mode out. Pure.

Source: CloudEvents HTTP protocol binding 1.0.2. What is no valid event raises NotAnEvent, naming the attribute.
As in Knative (cloudevents/sdk-go v2), attributes in headers are UTF-8 as they stand, without the binding's percent
encoding; `time` becomes UTC; versions 0.3 and 1.0 are taken.
"""

import base64
import binascii
import dataclasses
import datetime as dt
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

STRUCTURED = "application/cloudevents+json"
REQUIRED = ("id", "source", "type")
VERSIONS = ("0.3", "1.0")
_NAME = re.compile(r"[a-z0-9]{1,64}")
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class NotAnEvent(Exception):
    """The message is no valid CloudEvent."""


@dataclasses.dataclass(frozen=True)
class Event:
    """An event: its attributes as text, `datacontenttype` among them, and its data as bytes."""

    attributes: Mapping[str, str]
    data: bytes | None = None

    def extended(self, extensions: Mapping[str, str]) -> "Event":
        """The same event with more attributes."""
        return Event({**self.attributes, **extensions}, self.data)

    def without(self, name: str) -> "Event":
        """The same event without an attribute."""
        return Event({key: value for key, value in self.attributes.items() if key != name}, self.data)


def is_event(headers: Iterable[tuple[str, str]]) -> bool:
    """Whether a message claims to carry an event at all."""
    found = {name.lower(): value for name, value in headers}
    return "ce-specversion" in found or found.get("content-type", "").lower().startswith("application/cloudevents")


def parse_event(headers: Iterable[tuple[str, str]], body: bytes) -> Event:
    """The event of a request or response. Raises NotAnEvent."""
    found = {name.lower(): value for name, value in headers}
    content_type = found.get("content-type", "")
    if content_type.lower().startswith("application/cloudevents"):
        if not content_type.lower().startswith(STRUCTURED):
            raise NotAnEvent(f"content type {content_type!r} is not served: send single events as JSON")
        return _checked(_parse_structured(body))
    attributes = {name[3:]: value for name, value in found.items() if name.startswith("ce-")}
    if content_type:
        attributes["datacontenttype"] = content_type
    return _checked(Event(attributes, body or None))


def _parse_structured(body: bytes) -> Event:
    try:
        parsed = json.loads(body)
    except ValueError as error:
        raise NotAnEvent(f"the body is no JSON: {error}") from None
    if not isinstance(parsed, dict):
        raise NotAnEvent("the body is no JSON object")
    attributes = {
        name: _attribute_text(name, value)
        for name, value in parsed.items()
        if name not in {"data", "data_base64"} and value is not None
    }
    return Event(attributes, _structured_data(parsed, attributes))


def _structured_data(parsed: dict[str, Any], attributes: dict[str, str]) -> bytes | None:
    if parsed.get("data_base64") is not None:
        try:
            return base64.b64decode(parsed["data_base64"], validate=True)
        except (binascii.Error, TypeError, ValueError):
            raise NotAnEvent("attribute data_base64 is no base64") from None
    if "data" not in parsed:
        return None
    media_type = attributes.get("datacontenttype", "application/json").partition(";")[0].strip().lower()
    if isinstance(parsed["data"], str) and not (media_type.endswith(("/json", "+json"))):
        return parsed["data"].encode()
    return json.dumps(parsed["data"]).encode()


def _attribute_text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (str, int)):
        return str(value)
    raise NotAnEvent(f"attribute {name} must be text, an integer or a boolean")


def _checked(event: Event) -> Event:
    attributes = event.attributes
    version = attributes.get("specversion")
    if version is None:
        raise NotAnEvent("attribute specversion is missing")
    if version not in VERSIONS:
        raise NotAnEvent(f"attribute specversion is {version!r}: only {' and '.join(VERSIONS)} are served")
    for name in REQUIRED:
        if not attributes.get(name):
            raise NotAnEvent(f"attribute {name} is missing or empty")
    for name, value in attributes.items():
        if not _NAME.fullmatch(name):
            raise NotAnEvent(f"attribute name {name!r} must consist of lower-case letters and digits")
        if _CONTROL.search(value):
            raise NotAnEvent(f"attribute {name} has control characters, which no header can carry")
    return event.extended({"time": _in_utc(attributes["time"])}) if "time" in attributes else event


def _in_utc(text: str) -> str:
    """The same moment as Go's RFC3339Nano writes it in UTC."""
    found = _TIME.fullmatch(text)
    try:
        moment = dt.datetime.fromisoformat(found[1] + found[3]).astimezone(dt.UTC) if found else None
    except (ValueError, OverflowError):
        moment = None
    if found is None or moment is None:
        raise NotAnEvent(f"attribute time is no RFC 3339 timestamp: {text!r}")
    fraction = (found[2] or "")[:10].rstrip(".0")
    return f"{moment.replace(tzinfo=None).isoformat()}{fraction}Z"


def render_binary(event: Event) -> tuple[list[tuple[str, str]], bytes]:
    """Headers and body of the event in binary mode."""
    headers = [(f"ce-{name}", value) for name, value in event.attributes.items() if name != "datacontenttype"]
    if "datacontenttype" in event.attributes:
        headers.append(("content-type", event.attributes["datacontenttype"]))
    return headers, event.data or b""
