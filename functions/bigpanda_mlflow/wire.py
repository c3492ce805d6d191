"""CloudEvents on the wire: an HTTP request to a checked event, an outcome to an HTTP reply.

Promises: whatever is wrong is a `Permanent` that names the field. The SDK is kept from inventing what the sender left
out: it would fill in a missing `id` and `time`, and an event without its time cannot be put in order.
"""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from cloudevents.conversion import to_binary
from cloudevents.exceptions import GenericException
from cloudevents.http import CloudEvent, from_http
from cloudevents.sdk.exceptions import UnsupportedEventConverter
from pydantic import BaseModel, TypeAdapter, ValidationError

from bigpanda_mlflow.errors import Malformed, Permanent
from bigpanda_mlflow.events import DATA_MODELS, SOURCE, Event, EventKey, EventType, Outcome
from bigpanda_mlflow.times import format_time, parse_time

CLOCK_SKEW: Final = timedelta(minutes=5)
"""An event from further ahead would outrank every honest one until its time comes."""
MAX_ATTRIBUTE: Final = 256
DataT = TypeVar("DataT", bound=BaseModel)
_REQUIRED: Final = ("specversion", "id", "source", "type", "time")
_STRUCTURED: Final = "application/cloudevents+json"


def read_event(headers: Mapping[str, str], body: bytes, accepted: tuple[EventType, ...], now: datetime) -> Event[Any]:
    """The event of a request. Raises Malformed or Permanent."""
    attributes, data = _parse({name.lower(): value for name, value in headers.items()}, body)
    if attributes["type"] not in accepted:
        raise Permanent(f"this function takes {' and '.join(accepted)}", "type")
    kind = EventType(attributes["type"])
    key = EventKey(_read_time(attributes["time"], now), attributes["id"])
    if kind is EventType.PING:
        return Event(key, kind, None)
    checked = _check(DATA_MODELS[kind], data)
    _check_subject(attributes.get("subject"), checked.subject)
    return Event(key, kind, checked)


def write_outcome(outcome: Outcome) -> tuple[dict[str, str], bytes]:
    """Headers and body of an outgoing event, in binary mode. The same outcome is the same bytes."""
    attributes = {
        "id": outcome.id,
        "source": SOURCE,
        "type": outcome.type.value,
        "subject": outcome.data.subject,
        "time": format_time(outcome.time),
        "datacontenttype": "application/json",
    }
    headers, body = to_binary(CloudEvent(attributes, outcome.data.model_dump(mode="json")))
    return headers, body


def _parse(headers: dict[str, str], body: bytes) -> tuple[dict[str, str], Any]:
    structured = headers.get("content-type", "").partition(";")[0].strip().lower() == _STRUCTURED
    given = (
        _json_object(body) if structured else {name[3:]: value for name, value in headers.items() if name[:3] == "ce-"}
    )
    for name in _REQUIRED:
        value = given.get(name)
        if not isinstance(value, str) or not value:
            raise Malformed(f"the CloudEvent has no {name}", name)
        if len(value) > MAX_ATTRIBUTE or not value.isprintable():
            raise Malformed(f"is longer than {MAX_ATTRIBUTE} characters, or not printable", name)
    try:
        event = from_http(headers, body)
    except (GenericException, UnsupportedEventConverter, ValueError) as error:
        raise Malformed(f"not a CloudEvent that can be read: {type(error).__name__}", "data") from error
    data = event.get_data()
    return {name: str(value) for name, value in event.get_attributes().items()}, data


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise Malformed("the body is not JSON", "body") from None
    if not isinstance(found, dict):
        raise Malformed("a structured CloudEvent is a JSON object", "body")
    return found


def _read_time(text: str, now: datetime) -> datetime:
    try:
        time = parse_time(text)
    except (ValueError, OverflowError):
        raise Malformed("is not an RFC 3339 time with a zone", "time") from None
    if time > now + CLOCK_SKEW:
        raise Permanent("lies in the future: check the sender's clock", "time")
    return time


_OBJECT: Final[TypeAdapter[dict[str, Any]]] = TypeAdapter(dict[str, Any])


def _check(model: type[DataT], data: object) -> DataT:
    if isinstance(data, bytes | str):
        data = _json_object(data if isinstance(data, bytes) else data.encode())
    try:
        # Validated as JSON: what pydantic's strict types take differs between JSON and Python.
        return model.model_validate_json(json.dumps(_OBJECT.validate_python(data)))
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem["loc"])
        raise Permanent(problem["msg"], f"data{path}") from None


def _check_subject(subject: str | None, expected: str | None) -> None:
    if None not in (subject, expected) and subject != expected:
        raise Permanent("is not the jeditaskid of the data", "subject")
