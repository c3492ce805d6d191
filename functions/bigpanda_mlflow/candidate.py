"""Asks a candidate Revision over HTTP, patiently while it wakes, and never for more than is good for this process.

Promises: no proxy, .netrc or redirect of the environment's is followed; a body is read up to a limit; a candidate that
is not there yet (502, 503, 504, no connection) is asked again until the deadline, and no longer.
"""

import json
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import requests

MAX_BODY: Final = 16 * 2**20
_ANSWER_SECONDS: Final = 60.0
"""A wake is held by the activator; an answer that takes longer than this is as good as none."""
_AGAIN_SECONDS: Final = 10.0
"""For so long one that was ready is asked again when it is not there: longer than a wake, should it have slept."""
_POLL_SECONDS: Final = 0.5
_CHUNK: Final = 256 * 1024
_NOT_YET: Final = frozenset({502, 503, 504})


class Unanswered(Exception):
    """A request that came to no good answer; the message says why, in words that follow the request's name."""


class OutOfTime(Exception):
    """The deadline is over, with questions left: nothing is known against the candidate by that."""


class Oversized(Unanswered):
    """An answer that is larger than any that is read: asking again is of no use."""


@dataclass(frozen=True)
class Reply:
    """An answer: its status, its media type, and its body."""

    status: int
    media_type: str
    body: bytes

    def json(self) -> Any:
        """The body's content. Raises Unanswered."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise Unanswered("the answer is no JSON") from None


class Candidate:
    """A Revision at `url`, which is sent `host` as its Host where that is not the URL's own; asked until `deadline` of
    the monotonic clock.
    """

    def __init__(self, url: str, host: str | None, deadline: float) -> None:
        self._url = url.rstrip("/")
        self._deadline = deadline
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers.update({"Accept-Encoding": "gzip", **({} if host is None else {"Host": host})})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def wait_ready(self, may_wait: bool) -> dict[str, Any]:  # noqa: FBT001 (a fact of the task)
        """What `/ready` says once it is ready, or, if the task `may_wait` for its first results, once it waits for
        them. Raises Unanswered.
        """
        why = "it was not asked"
        while time.monotonic() < self._deadline:
            try:
                reply = self._ask("GET", "/ready", {}, None)
                said = reply.json() if reply.media_type == "application/json" else None
            except Unanswered as error:
                why, said = str(error), None
            else:
                why = f"it answers {reply.status}"
                if isinstance(said, dict):
                    why = ": ".join(str(said[name]) for name in ("stage", "reason") if said.get(name)) or why
                    if reply.status == 200 or (may_wait and said.get("stage") == "waiting_for_snapshot"):
                        return said
            self._sleep()
        raise Unanswered(f"was not ready in time ({why})")

    def ask(self, method: str, path: str, anew: bool = False, body: Any = None) -> Reply:  # noqa: FBT001, FBT002
        """The reply with status 200; `anew` wants MLflow's own, not a recorded one. Raises Unanswered, OutOfTime."""
        headers = {"Cache-Control": "no-cache"} if anew else {}
        why = ""
        until = min(self._deadline, time.monotonic() + _AGAIN_SECONDS)
        while time.monotonic() < until:
            try:
                reply = self._ask(method, path, headers, body)
            except Oversized:
                raise
            except Unanswered as error:
                why = str(error)
            else:
                if reply.status == 200:
                    return reply
                why = f"it answers {reply.status}"
                if reply.status not in _NOT_YET:
                    raise Unanswered(why)
            self._sleep()
        if time.monotonic() >= self._deadline:
            raise OutOfTime
        raise Unanswered(why)

    def _ask(self, method: str, path: str, headers: dict[str, str], body: Any) -> Reply:
        left = max(0.1, min(self._deadline - time.monotonic(), _ANSWER_SECONDS))
        try:
            with self._session.request(
                method,
                f"{self._url}{path}",
                headers=headers,
                json=body,
                timeout=(left, left),
                allow_redirects=False,
                stream=True,
            ) as answer:
                media_type = answer.headers.get("Content-Type", "").partition(";")[0]
                return Reply(answer.status_code, media_type, self._read(answer))
        except requests.RequestException as error:
            raise Unanswered(f"it does not answer ({type(error).__name__})") from None

    def _read(self, answer: requests.Response) -> bytes:
        body = bytearray()
        for chunk in answer.iter_content(_CHUNK):
            body += chunk
            if len(body) > MAX_BODY:
                raise Oversized(f"its answer is larger than {MAX_BODY} bytes")
            if time.monotonic() > self._deadline:
                raise Unanswered("its answer did not end in time")
        return bytes(body)

    def _sleep(self) -> None:
        time.sleep(max(0.0, min(_POLL_SECONDS, self._deadline - time.monotonic())))
