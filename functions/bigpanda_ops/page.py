"""A task's page, woken and asked how far it has come: `/ready` names the stage of a wake in its body."""

import json
import time
from dataclasses import dataclass

from bigpanda_ops.outcomes import Unreachable
from bigpanda_ops.web import ask

_POLL_SECONDS = 0.25
_SETTLED = ("waiting_for_snapshot", "failed")
_SETTLED_SECONDS = 5.0
"""A page that waits or failed looks again every two seconds, and Knative starts another pod at each request: what stays
so for longer will stay so.
"""


@dataclass(frozen=True)
class PageAnswer:
    """The last answer: HTTP status (None: there was none), the stage and its reason in the page's own words, the
    snapshot's digest and MLflow's version where the page knows them, and after how many seconds it came.
    """

    status: int | None
    seconds: float
    stage: str = ""
    reason: str = ""
    snapshot: str = ""
    mlflow: str = ""
    is_ours: bool = False
    """Whether the page itself spoke, and not what stands before it."""


def wake_page(url: str, patience: float) -> PageAnswer:
    """Until it is ready, or says lastingly that it cannot be, or `patience` seconds are over."""
    started = time.monotonic()
    settled_since = None
    while True:
        answer = _look(url, started, patience)
        now = time.monotonic()
        is_settled = answer.stage in _SETTLED or not answer.is_ours
        settled_since = (settled_since or now) if is_settled else None
        lasting = settled_since is not None and now - settled_since >= min(_SETTLED_SECONDS, patience)
        if answer.status in {None, 200, 404} or lasting or now - started >= patience:
            return answer
        time.sleep(_POLL_SECONDS)


def _look(url: str, started: float, patience: float) -> PageAnswer:
    left = max(patience - (time.monotonic() - started), 1.0)
    try:
        found = ask("GET", f"{url}/ready", seconds=left)
    except TimeoutError:
        return PageAnswer(None, time.monotonic() - started, reason=f"no answer within {patience:.0f} s")
    except Unreachable as error:
        return PageAnswer(None, time.monotonic() - started, stage="unreachable", reason=str(error))
    seconds = time.monotonic() - started
    try:
        said = json.loads(found.text)
        stage = said["stage"]
    except (ValueError, KeyError, TypeError):
        return PageAnswer(found.status_code, seconds, reason=_first_words(found.text))
    fields = {name: str(said.get(name, "")) for name in ("reason", "snapshot", "mlflow")}
    return PageAnswer(found.status_code, seconds, str(stage), is_ours=True, **fields)


def _first_words(text: str) -> str:
    """What an ingress says, unless it says it as a whole page."""
    line = " ".join(text.split())
    try:
        said = json.loads(line)
    except ValueError:
        return "" if line.startswith("<") else line[:200]
    return str(said.get("message") or said.get("error") or "")[:200] if isinstance(said, dict) else ""
