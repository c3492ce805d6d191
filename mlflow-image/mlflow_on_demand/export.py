"""BigPanDA's export of a task's results: one gzip'ed tar of all its metrics tarballs, in one HTTP answer.

It has no list and no ranges, and tells neither etag nor date. So its list is made by reading it once, without unpacking
what it holds: name, size and sha256 of each tarball are what a store would tell, and stand for it in the manifest.
Whether anything is new is known then, and only if so it is read a second time, for what is new. Both times it streams
through: nothing of it is held but a block. What may be wrong with it has one sentence each: a JSON error comes with
status 200, a login page too.
"""

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import BinaryIO, cast

from mlflow_on_demand.allowed import export_task
from mlflow_on_demand.checksums import DigestedStream
from mlflow_on_demand.errors import (
    AccessDenied,
    ObjectChanged,
    StoreError,
    StoreUnavailable,
    TarballDamaged,
    TarballError,
)
from mlflow_on_demand.http_client import Answer, Check, HttpClient, make_error
from mlflow_on_demand.store import CHUNK, StoredObject
from mlflow_on_demand.tarballs import parse_tarball_name
from mlflow_on_demand.transfer import persist
from mlflow_on_demand.unpack import Limits, read_members

_log = logging.getLogger(__name__)

LIMITS = Limits(max_bytes=2**40, max_members=1_000_000, max_ratio=50)
"""Of the outer tar, whose members are compressed already: each of them has an ingest's own limits when it is read."""
_GZIP = b"\x1f\x8b"
_MOST_WORDS = 64 * 1024
_MOST_SHOWN = 200


class Export:
    """The export of one task; each reading is one request."""

    def __init__(self, uri: str, jeditaskid: int, check: Check, limits: Limits = LIMITS) -> None:
        """StoreError if it is the export of another task."""
        if export_task(uri) != jeditaskid:
            raise StoreError(f"the export is that of task {export_task(uri)}, and not of {jeditaskid}")
        self._uri, self._jeditaskid, self._limits = uri, jeditaskid, limits
        self._client = HttpClient(check)

    def list(self) -> Iterator[StoredObject]:
        """The task's tarballs, each with its sha256 as etag, in the export's order; the first of those of one name."""
        seen: set[str] = set()
        others = 0
        with self._streamed() as stream:
            for key, size, content in self._members(stream):
                if parse_tarball_name(key, self._jeditaskid) is None:
                    others += key.endswith(".tgz")
                elif key not in seen:
                    seen.add(key)
                    yield StoredObject(key, size, 0, _digest_of(content))
        if others and not seen:
            raise StoreError(f"the export holds {others} tarballs of other tasks, and none of {self._jeditaskid}")
        if others:
            _log.warning("tarballs of other tasks left out", extra={"jeditaskid": self._jeditaskid, "count": others})

    def read_members(self, wanted: Mapping[str, StoredObject]) -> Iterator[tuple[StoredObject, BinaryIO]]:
        """These tarballs, as `list` told of them, in the export's order; each is read before the next is asked for.

        ObjectChanged, once it shows, if one of them is not what it was.
        """
        left = dict(wanted)
        with self._streamed() as stream:
            for key, _, content in self._members(stream):
                found = left.pop(key, None)
                if found is None:
                    continue
                digested = DigestedStream(content)
                yield found, cast("BinaryIO", digested)
                while digested.read(CHUNK):
                    pass
                if digested.digest.hexdigest() != found.etag:
                    raise ObjectChanged(f"'{key}' was replaced while the export was read")
        if left:
            raise ObjectChanged(f"'{min(left)}' was taken out while the export was read")

    def _members(self, stream: BinaryIO) -> Iterator[tuple[str, int, BinaryIO]]:
        """Name without folders, size and content of each file. Whatever is wrong with the outer tar is told as the
        store's fault, never as that of the tarball which is being read.
        """
        with _blamed_on_the_export():
            for member in read_members(stream, self._limits):
                yield member.path[-1], member.size, cast("BinaryIO", _Content(member.content))

    @contextmanager
    def _streamed(self) -> Iterator[BinaryIO]:
        answer = persist(self._ask)
        with closing(answer):
            first = answer.read(len(_GZIP))
            if len(first) < len(_GZIP):
                first += answer.read(len(_GZIP) - len(first))
            if first != _GZIP:
                raise _tell_words(answer.host, first + _read_words(answer))
            yield cast("BinaryIO", _Body(first, answer))

    def _ask(self) -> Answer:
        answer = self._client.ask("GET", self._uri)
        if answer.status != 200:
            answer.close()
            raise make_error(answer, f"export of task {self._jeditaskid}")
        return answer


class _Body:
    """The answer's body, with the bytes that were looked at."""

    def __init__(self, first: bytes, answer: Answer) -> None:
        self._first, self._answer = first, answer

    def read(self, size: int = -1) -> bytes:
        if self._first:
            first, self._first = self._first, b""
            return first
        return self._answer.read(size if size >= 0 else CHUNK)


class _Content:
    """A member's content; if it cannot be read, it is the export that is damaged."""

    def __init__(self, content: BinaryIO) -> None:
        self._content = content

    def read(self, size: int = -1) -> bytes:
        with _blamed_on_the_export():
            return self._content.read(size)


@contextmanager
def _blamed_on_the_export() -> Iterator[None]:
    try:
        yield
    except TarballDamaged as error:
        raise StoreUnavailable(f"the export {error}") from None
    except TarballError as error:
        raise StoreError(f"the export {error}") from None


def _digest_of(content: BinaryIO) -> str:
    digest = hashlib.sha256()
    while chunk := content.read(CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def _read_words(answer: Answer) -> bytes:
    words = b""
    while len(words) < _MOST_WORDS and (chunk := answer.read(_MOST_WORDS)):
        words += chunk
    return words


def _tell_words(host: str, words: bytes) -> StoreError:
    """What an answer means that is no gzip stream."""
    if words.lstrip().startswith(b"<"):
        return AccessDenied(f"{host} answers with a web page instead of the export: it may want somebody to log in")
    try:
        said = json.loads(words)
    except ValueError:
        return StoreError(f"{host} answers with something that is no export: neither a gzip'ed tar nor a reason")
    texts = said.values() if isinstance(said, dict) else [said]
    reason = "; ".join(text for text in texts if isinstance(text, str) and text)
    shown = "".join(one if one.isprintable() else " " for one in reason)[:_MOST_SHOWN]
    return StoreError(f"{host} has no export of the task: {shown or 'it gives no reason'}")
