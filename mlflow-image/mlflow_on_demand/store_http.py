"""A store behind an HTTP server that speaks WebDAV, as EOS, dCache and XRootD's doors do; of one that does not, single
objects can be read, and their addresses have to be named.

Schemes `http`, `https`, and `dav`, `davs` for the same. Writes go to a hidden name beside their target and are moved
there. A conditional write is the server's own where it heeds `If-Match`, which is tried first; where it does not, "only
if there is none" is still the server's (a move that may not overwrite), and "only if it is still this one" is looked up
just before the move: of two who write in that moment the last wins, so what is written must be right whoever wins.
"""

import io
import shutil
import tempfile
import uuid
from collections.abc import Container, Iterator, Mapping
from contextlib import AbstractContextManager, closing, suppress
from functools import partial
from io import BytesIO
from itertools import count
from typing import BinaryIO, cast
from urllib.parse import quote, unquote, urlsplit

from mlflow_on_demand.errors import ObjectMissing, PreconditionFailed, StoreError, StoreUriError
from mlflow_on_demand.http_client import Answer, Check, HttpClient, connect_anywhere, make_error
from mlflow_on_demand.http_facts import find_checksum, parse_content_range, parse_date
from mlflow_on_demand.store import CHUNK, StoredObject, parts_of
from mlflow_on_demand.transfer import Part, open_object, persist, read_object
from mlflow_on_demand.webdav import PROPFIND, Entry, parse_entries

_UNFINISHED = ".unfinished-"
_SCHEMES = {"http": "http", "https": "https", "dav": "http", "davs": "https"}
_MOST_LIST_BYTES = 64 * 2**20
_MOST_DEPTH = 32
# Of RFC 3230: WLCG's servers keep one of these, and tell it where they are asked.
_WANTED = {"Want-Digest": "adler32, md5;q=0.5"}


class HttpStore:
    """Everything under one address; threads may share it."""

    def __init__(self, uri: str, check: Check = connect_anywhere) -> None:
        parts = urlsplit(uri)
        if parts.scheme not in _SCHEMES or not parts.hostname or "@" in parts.netloc or parts.query or parts.fragment:
            raise StoreUriError("an HTTP store is https://host/path, without a user, a query or a fragment")
        self._uri = uri.rstrip("/")
        self._base = f"{_SCHEMES[parts.scheme]}://{parts.netloc}{quote(unquote(parts.path.rstrip('/')), safe='/~')}"
        self._client = HttpClient(check)
        self._heeds_conditions: bool | None = None
        self._moves = True

    @property
    def uri(self) -> str:
        """The prefix as a URI."""
        return self._uri

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """See Store; StoreError where the server is none of WebDAV."""
        folder = prefix.rpartition("/")[0]
        found = (one for one in self._walk(folder, prefix, _MOST_DEPTH) if not _is_unfinished(one))
        yield from sorted(found, key=lambda one: one.key)

    def stat(self, key: str) -> StoredObject:
        """See Store."""
        for method in ("HEAD", "GET"):  # Apache tells no size of an empty file to HEAD, and some know no HEAD
            with closing(self._ask(method, key, {200, 405, 501}, _WANTED)) as answer:
                size = answer.headers.get("Content-Length", "")
                if answer.status == 200 and size.isdigit():
                    mtime = parse_date(answer.headers.get("Last-Modified"))
                    etag = _make_etag(answer.headers.get("ETag", ""), int(size), mtime)
                    return StoredObject(key, int(size), mtime, etag, find_checksum(answer.headers))
        raise StoreError(f"{answer.host} does not tell the size of '{key}'")

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """See Store."""
        return read_object(key, partial(self._fetch, key), start, length)

    def open(self, key: str) -> AbstractContextManager[BinaryIO]:
        """See Store."""
        return open_object(key, partial(self._fetch, key))

    def write(self, key: str, source: BinaryIO) -> StoredObject:
        """See Store."""
        with tempfile.TemporaryFile() as spool:
            # Its size has to be known, and a redirected or repeated request begins it again.
            shutil.copyfileobj(source, spool, CHUNK)
            spool.seek(0)
            self._write_beside(key, cast("BinaryIO", spool), overwrite=True)
        return self.stat(key)

    def write_if(self, key: str, content: bytes, etag: str | None) -> StoredObject:
        """See Store, and the module."""
        if etag is not None and self._find_out_about_conditions(key):
            try:
                self._put(key, BytesIO(content), {"If-Match": f'"{etag}"'})
                return self.stat(key)
            except PreconditionFailed:
                # An etag may still be a weak one, which matches nothing, when the object is very new.
                if self._present_etag(key) != etag:
                    raise
        if self._present_etag(key) != etag:
            raise PreconditionFailed(f"somebody else wrote '{key}' first")
        self._write_beside(key, BytesIO(content), overwrite=etag is not None)
        return self.stat(key)

    def delete(self, key: str) -> None:
        """See Store; a folder is no object, and stays."""
        found = self._propfind(key, "0")
        if found is not None and not any(entry.is_folder for entry in found):
            self._ask("DELETE", key, {200, 202, 204, 404}).close()

    def list_unfinished(self) -> Iterator[StoredObject]:
        """See KeepsUnfinished."""
        return filter(_is_unfinished, self._walk("", "", _MOST_DEPTH))

    def discard_unfinished(self, write: StoredObject) -> None:
        """See KeepsUnfinished."""
        self.delete(write.key)

    def _fetch(self, key: str, start: int, length: int | None, etag: str | None) -> Part:  # noqa: ARG002
        # Whether it is still the same object is told by the answer's own etag: `If-Match` fails for a weak one.
        is_part = start > 0 or length is not None
        last = "" if length is None else str(start + length - 1)
        answer = self._ask("GET", key, {200, 206}, {"Range": f"bytes={start}-{last}"} if is_part else _WANTED)
        told = answer.headers.get("Content-Length", "")
        whole = int(told) if told.isdigit() else None
        begins, size = parse_content_range(answer.headers.get("Content-Range")) or (0, whole)
        checksum = None if is_part else find_checksum(answer.headers)
        return Part(answer.read, answer.close, begins, size, _etag_of(answer, size), checksum)

    def _walk(self, folder: str, prefix: str, depth: int) -> Iterator[StoredObject]:
        if not depth:
            raise StoreError(f"'{folder}' lies deeper than {_MOST_DEPTH} folders")
        for entry in self._propfind(folder, "1") or ():
            key = f"{folder}/{entry.name}" if folder else entry.name
            if not entry.name:
                continue
            if not entry.is_folder:
                if key.startswith(prefix):
                    etag = _make_etag(entry.etag, entry.size, entry.mtime)
                    yield StoredObject(key, entry.size, entry.mtime, etag, entry.checksum)
            elif f"{key}/".startswith(prefix):
                yield from self._walk(key, prefix, depth - 1)

    def _propfind(self, key: str, depth: str) -> tuple[Entry, ...] | None:
        """What lies there, None if there is nothing."""
        url = f"{self._url(key)}/" if depth == "1" else self._url(key)
        headers = {"Depth": depth, "Content-Type": "application/xml"}

        def ask() -> tuple[Entry, ...] | None:
            with closing(self._client.ask("PROPFIND", url, headers, PROPFIND)) as answer:
                if answer.status == 404:
                    return None
                if answer.status in (200, 405, 501):
                    raise StoreError(f"{answer.host} cannot be listed, for it does not speak WebDAV: name single files")
                if answer.status != 207:
                    raise make_error(answer, f"the list of '{key}'")
                return tuple(parse_entries(answer.read_all(_MOST_LIST_BYTES), unquote(urlsplit(url).path)))

        return persist(ask)

    def _write_beside(self, key: str, content: BinaryIO, *, overwrite: bool) -> None:
        beside = _beside(key)
        try:
            if self._moves:
                self._put(beside, content, {})
                self._move(beside, key, overwrite=overwrite)
        except BaseException:
            with suppress(StoreError):
                self.delete(beside)
            raise
        if not self._moves:
            self.delete(beside)
            self._put(key, content, {} if overwrite else {"If-None-Match": "*"})

    def _put(self, key: str, content: BinaryIO, condition: Mapping[str, str]) -> None:
        headers = {**condition, "Content-Length": str(content.seek(0, io.SEEK_END))}

        def put() -> bool:
            content.seek(0)
            with closing(self._client.ask("PUT", self._url(key), headers, content)) as answer:
                if answer.status in (200, 201, 202, 204):
                    return True
                if answer.status in (404, 409):  # the folder that it should lie in is missing
                    return False
                raise make_error(answer, f"'{key}'")

        if not persist(put):
            self._make_folders(key)
            if not persist(put):
                raise StoreError(f"the server has no place for '{key}'")

    def _make_folders(self, key: str) -> None:
        """Those that a key lies in, the outermost first, the store's own among them."""
        address = urlsplit(self._url(key))
        for end in [at for at, character in enumerate(address.path) if character == "/"][1:]:
            url = address._replace(path=address.path[: end + 1]).geturl()
            # What it says is not asked: of a folder that is there, or not ours to make, servers say different things.
            persist(partial(self._client.ask, "MKCOL", url)).close()

    def _move(self, beside: str, key: str, *, overwrite: bool) -> None:
        headers = {"Destination": self._url(key), "Overwrite": "T" if overwrite else "F"}
        tries = count()

        def move() -> None:
            is_first = next(tries) == 0
            with closing(self._client.ask("MOVE", self._url(beside), headers)) as answer:
                if answer.status in (405, 501):
                    self._moves = False
                # Not there any more when it is asked again: the answer to the first request was lost.
                elif answer.status not in (200, 201, 204) and (is_first or answer.status != 404):
                    raise make_error(answer, f"'{key}'")

        persist(move)

    def _find_out_about_conditions(self, key: str) -> bool:
        """Whether the server heeds `If-Match`: one that does refuses what can match nothing."""
        if self._heeds_conditions is None:
            beside = _beside(key)
            try:
                self._put(beside, BytesIO(), {"If-Match": '"matches nothing"'})
                self._heeds_conditions = False
                self.delete(beside)
            except PreconditionFailed:
                self._heeds_conditions = True
        return self._heeds_conditions

    def _present_etag(self, key: str) -> str | None:
        try:
            return self.stat(key).etag
        except ObjectMissing:
            return None

    def _ask(self, method: str, key: str, good: Container[int], headers: Mapping[str, str] | None = None) -> Answer:
        def ask() -> Answer:
            answer = self._client.ask(method, self._url(key), headers)
            if answer.status not in good:
                answer.close()
                raise make_error(answer, f"'{key}'")
            return answer

        return persist(ask)

    def _url(self, key: str) -> str:
        return f"{self._base}/{quote('/'.join(parts_of(key)), safe='/~')}" if key else self._base


def _is_unfinished(found: StoredObject) -> bool:
    return found.key.rpartition("/")[2].startswith(_UNFINISHED)


def _beside(key: str) -> str:
    folder, slash, _ = key.rpartition("/")
    return f"{folder}{slash}{_UNFINISHED}{uuid.uuid4().hex}"


def _etag_of(answer: Answer, size: int | None) -> str:
    changed = answer.headers.get("Last-Modified")
    told = answer.headers.get("ETag", "")
    return _make_etag(told, size, parse_date(changed)) if told or (changed and size is not None) else ""


def _make_etag(told: str, size: int | None, mtime: int) -> str:
    """The server's, or size and time where it has none. A weak one is taken for what it says."""
    return told.removeprefix("W/").strip('"') or f"{size}-{mtime}"
