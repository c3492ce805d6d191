"""What every function does at its HTTP border: read a body of bounded size, answer with an event, refuse in a sentence.

Knative's broker takes a non-empty 2xx body that is no CloudEvent for a failure, so success is 204 or a CloudEvent; an
error's body is for people and for the dead letter: one JSON object with `error` and, where one is at fault, `field`.
"""

import json
import logging
from collections.abc import Callable
from typing import Any, Final

from flask import Request, Response

from bigpanda_mlflow.errors import FunctionError, Permanent, TooLarge
from bigpanda_mlflow.events import Outcome
from bigpanda_mlflow.wire import write_outcome

log = logging.getLogger(__name__)

_PATIENCE_BYTES: Final = 8 * 2**20


def answer(work: Callable[[], Response], request: Request | None = None) -> Response:
    """What `work` answers, or the refusal that it raises; a fault that nobody thought of is 500 and goes to the log.

    The log names the event by the headers of `request`, in which a broker delivers it: whoever looks for the reason
    needs to know whose it is.
    """
    event = {} if request is None else {name: request.headers.get(f"ce-{name}") for name in ("id", "subject")}
    try:
        return work()
    except FunctionError as error:
        field = error.field if isinstance(error, Permanent) else None
        log.warning("refused: %s", error, extra={"status": error.status, "field": field, **event})
        return _refuse(error.status, {"error": str(error), **({"field": field} if field else {})})
    except Exception:
        log.exception("an unexpected fault", extra=event)
        return _refuse(500, {"error": "something went wrong that nobody expected; the function's log says what"})


def reply(outcome: Outcome | None) -> Response:
    """The outcome as a CloudEvent in binary mode, or 204."""
    if outcome is None:
        return Response(status=204)
    headers, body = write_outcome(outcome)
    return Response(body, status=200, headers=headers)


def read_headers(request: Request) -> dict[str, str]:
    """The request's headers; of one that is sent twice, the last."""
    return {name: value for name, value in request.headers.items() if value}


def read_body(request: Request, limit: int) -> bytes:
    """The whole body. Raises TooLarge past `limit` bytes."""
    # Not through Flask's own limit: functions-framework reads a request to its end once it is answered, would run into
    # that limit a second time, and answer 500. The server in front ends this stream where the body ends.
    body = request.input_stream.read(limit + 1)
    if len(body) <= limit:
        return body
    # A sender that is still sending sees our answer only if somebody listens on; a whole flood is not listened to.
    for _ in range(_PATIENCE_BYTES // limit):
        if not request.input_stream.read(limit):
            break
    raise TooLarge(f"the body is larger than {limit} bytes", "body")


def _refuse(status: int, content: dict[str, Any]) -> Response:
    # As a stream: only then does functions-framework not read what is left of the request, however much it is.
    return Response(iter([json.dumps(content)]), status=status, content_type="application/json")
