"""`kubectl logs`: what a pod wrote, from its log file, and what it goes on to write."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Protocol

from starlette.responses import Response, StreamingResponse

from knative_embedded.api import errors
from knative_embedded.api.address import Address
from knative_embedded.kinds import POD

_POLL = 0.2
_CHUNK = 64 * 1024


class LogSource(Protocol):
    """Where a pod's output lies."""

    def find_log(self, namespace: str, pod: str) -> tuple[Path, int] | None:
        """The file, and the offset at which this pod began; None for an unknown pod."""


class PodLogs:
    """The `log` subresource of pods."""

    def __init__(self, source: LogSource) -> None:
        self._source = source

    def answer(self, address: Address, query: Mapping[str, str]) -> Response:
        """The pod's log as text. Raises ApiError (not found, bad request)."""
        found = self._source.find_log(address.namespace, address.name)
        if found is None:
            raise errors.not_found(POD, address.name)
        tail = query.get("tailLines", "")
        if tail and not tail.isdigit():
            raise errors.bad_request("tailLines must be a non-negative integer")
        path, offset = found
        if tail:
            offset = _tail_offset(path, offset, int(tail))
        follow = query.get("follow") in {"true", "1"}
        return StreamingResponse(self._stream(address, path, offset, follow=follow), media_type="text/plain")

    async def _stream(self, address: Address, path: Path, offset: int, *, follow: bool) -> AsyncIterator[bytes]:
        while True:
            alive = self._source.find_log(address.namespace, address.name) is not None
            while chunk := await asyncio.to_thread(_read, path, offset):
                offset += len(chunk)
                yield chunk
            if not follow or not alive:
                return
            await asyncio.sleep(_POLL)


def _read(path: Path, offset: int) -> bytes:
    if not path.exists():
        return b""
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(_CHUNK)


def _tail_offset(path: Path, offset: int, count: int) -> int:
    """Where the last `count` lines begin."""
    if not path.exists():
        return offset
    with path.open("rb") as file:
        file.seek(offset)
        lines = file.read().splitlines(keepends=True)
    kept = sum(len(line) for line in lines[-count:]) if count else 0
    return offset + sum(len(line) for line in lines) - kept
