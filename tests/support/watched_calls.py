"""The calls that a client makes of the cluster's API, as they are answered."""

from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlsplit


class Call(NamedTuple):
    """One call of the API, and its answer's status."""

    method: str
    path: str
    status: int


def watch_calls(api: Any, note: Callable[[Call], object]) -> None:
    """Has each call of this `ApiClient` noted, once it is answered."""
    call = api.call_api

    def noted(method: str, url: str, *arguments: Any, **named: Any) -> Any:
        answer = call(method, url, *arguments, **named)
        note(Call(method, urlsplit(url).path, answer.status))
        return answer

    api.call_api = noted
