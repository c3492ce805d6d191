"""Events through the front door: made, sent with the caller's token, and the answer in words."""

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ValidationError

from bigpanda_mlflow.events import DATA_MODELS, SOURCE, EventKey, EventType
from bigpanda_mlflow.times import format_time
from bigpanda_ops.connection import Connection
from bigpanda_ops.outcomes import Misused, Unreachable, Wrong
from bigpanda_ops.web import ask

MOST_SECONDS = 60
_SLACK_SECONDS = 90.0
"""Beyond what the caller waits for: a broker that keeps events in memory answers only when it has delivered them."""


@dataclass(frozen=True)
class Sent:
    """What came of an event: accepted, and the outcome's type and data where there was one in time."""

    key: EventKey
    type: EventType
    outcome: str | None
    data: dict[str, Any]

    def as_json(self) -> dict[str, object]:
        """For scripts."""
        return {"id": self.key.id, "type": self.type.value, "outcome": self.outcome, "data": self.data}


def check_data(kind: EventType, data: object) -> BaseModel:
    """The event's data as its model. Raises Misused, naming the field."""
    try:
        return DATA_MODELS[kind].model_validate_json(json.dumps(data))
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        path = ".".join(str(part) for part in problem["loc"]) or "data"
        raise Misused(f"{path}: {problem['msg']}") from None


def send_event(connection: Connection, kind: EventType, data: BaseModel, wait: int = 0) -> Sent:
    """Sends it as an event of now. Raises Wrong when it is refused, Unreachable when the door does not take it."""
    key = EventKey(datetime.now(UTC), str(uuid.uuid4()))
    headers = {
        "ce-specversion": "1.0",
        "ce-id": key.id,
        "ce-source": SOURCE,
        "ce-type": kind.value,
        "ce-time": format_time(key.time),
        "content-type": "application/json",
        "Authorization": f"Bearer {connection.token}",
        **({"Prefer": f"wait={wait}"} if wait else {}),
    }
    if subject := getattr(data, "subject", None):
        headers["ce-subject"] = str(subject)
    body = data.model_dump_json(exclude_none=True).encode()
    try:
        answer = ask("POST", f"{connection.front}/", headers=headers, body=body, seconds=wait + _SLACK_SECONDS)
    except TimeoutError as error:
        raise Unreachable(str(error)) from None
    _check(answer.status_code, answer.text)
    outcome = answer.headers.get("ce-type")
    return Sent(key, kind, outcome, json.loads(answer.text) if outcome else {})


def _check(status: int, text: str) -> None:
    if 200 <= status < 300:
        return
    try:
        said = json.loads(text)
        reason = f"{said['field']} {said['error']}" if said.get("field") else str(said["error"])
    except (ValueError, KeyError, TypeError, AttributeError):
        reason = f"it answered {status}"
    if status in {401, 403}:
        raise Unreachable(f"the front door does not allow it: {reason}")
    if status == 404 or status >= 500:
        raise Unreachable(f"the front door did not take the event: {reason}")
    raise Wrong(f"the event was refused ({status}): {reason}")
