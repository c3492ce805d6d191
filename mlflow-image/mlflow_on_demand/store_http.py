"""A store behind an HTTP server that speaks WebDAV, as EOS, dCache and XRootD's doors do; of one that does not, single
objects can be read, and their addresses have to be named.

Schemes `http`, `https`, and `dav`, `davs` for the same. A conditional write is the server's own where it heeds
`If-Match`, which is tried first; where it does not, "only if there is none" is still the server's (a move that may not
overwrite), and "only if it is still this one" is looked up just before the move: of two who write in that moment the
last wins, so what is written must be right whoever wins.
"""

import shutil
import tempfile
from collections.abc import Container, Iterator, Mapping
from contextlib import AbstractContextManager, closing, suppress
from functools import partial
from io import BytesIO
from typing import BinaryIO, cast
from urllib.parse import quote, unquote, urlsplit

from mlflow_on_demand.errors import ObjectMissing, PreconditionFailed, RangeBehindEnd, StoreError, StoreUriError
from mlflow_on_demand.http_client import Answer, Check, HttpClient, connect_anywhere, make_error
from mlflow_on_demand.http_facts import find_checksum, parse_content_range, parse_date, parse_whole_size
from mlflow_on_demand.store import CHUNK, StoredObject, parts_of
from mlflow_on_demand.transfer import Part, open_object, persist, read_object
from mlflow_on_demand.webdav import PROPFIND, Entry, parse_entries
from mlflow_on_demand.webdav_writes import UNFINISHED, WebdavWrites

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
        self._writes = WebdavWrites(self._client, self._url, self._is_there, self.delete)

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
                    checksum = find_checksum(answer.headers)
                    etag, changed = (answer.headers.get(name, "") for name in ("ETag", "Last-Modified"))
                    if not etag and not changed:
                        with suppress(_NoWebDAVError):
                            return self._stat_by_list(key, checksum)
                    # Of a server that tells nothing but sizes, another size is all that a change can be told by.
                    mtime = parse_date(changed)
                    return StoredObject(key, int(size), mtime, _make_etag(etag, int(size), mtime), checksum)
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
            self._writes.write(key, cast("BinaryIO", spool), overwrite=True)
        return self.stat(key)

    def write_if(self, key: str, content: bytes, etag: str | None) -> StoredObject:
        """See Store, and the module."""
        if etag is not None and self._writes.heeds_conditions(key):
            try:
                self._writes.put(key, BytesIO(content), {"If-Match": f'"{etag}"'})
                return self.stat(key)
            except PreconditionFailed:
                # An etag may still be a weak one, which matches nothing, when the object is very new.
                if self._present_etag(key) != etag:
                    raise
        if self._present_etag(key) != etag:
            raise PreconditionFailed(f"somebody else wrote '{key}' first")
        self._writes.write(key, BytesIO(content), overwrite=etag is not None)
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
        answer = self._get(key, start, length)
        told = answer.headers.get("Content-Range")
        place = parse_content_range(told)
        if answer.status == 206 and place is None:
            answer.close()
            return self._fetch_to_end(key, start, length, told)
        size = answer.headers.get("Content-Length", "")
        begins, whole = place or (0, int(size) if size.isdigit() else None)
        checksum = find_checksum(answer.headers)
        identity = _etag_of(answer, whole) or checksum or ""
        return Part(answer.read, answer.close, begins, whole, identity, None if is_part else checksum)

    def _get(self, key: str, start: int, length: int | None) -> Answer:
        last = "" if length is None else str(start + length - 1)
        asked = {"Range": f"bytes={start}-{last}"} if start > 0 or length is not None else {}
        answer = self._ask("GET", key, {200, 206, 500}, {**asked, **_WANTED})
        if answer.status != 500:
            return answer
        # XRootD's door says so if what is wanted has no checksum, or is not there at all.
        answer.close()
        return self._ask("GET", key, {200, 206}, asked)

    def _fetch_to_end(self, key: str, start: int, length: int | None, told: str | None) -> Part:
        """XRootD's door (5.5) answers a range without an end by nothing, and says where the end is."""
        whole = parse_whole_size(told)
        if whole is None or length is not None:
            raise StoreError(f"the server does not tell which part of '{key}' it sends")
        if start >= whole:
            raise RangeBehindEnd(f"'{key}' ends before that range")
        return self._fetch(key, start, whole - start, None)

    def _stat_by_list(self, key: str, checksum: str | None) -> StoredObject:
        """XRootD's door tells the time of an object in lists alone."""
        found = next((entry for entry in self._propfind(key, "0") or () if not entry.is_folder), None)
        if found is None:
            raise ObjectMissing(f"there is no '{key}'")
        etag = _make_etag(found.etag, found.size, found.mtime)
        return StoredObject(key, found.size, found.mtime, etag, checksum or found.checksum)

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
                    raise _NoWebDAVError(
                        f"{answer.host} cannot be listed, for it does not speak WebDAV: name single files"
                    )
                if answer.status != 207:
                    raise make_error(answer, f"the list of '{key}'")
                return tuple(parse_entries(answer.read_all(_MOST_LIST_BYTES), unquote(urlsplit(url).path)))

        return persist(ask)

    def _is_there(self, key: str) -> bool:
        return self._propfind(key, "0") is not None

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


class _NoWebDAVError(StoreError):
    """The server cannot be asked what lies where."""


def _is_unfinished(found: StoredObject) -> bool:
    return found.key.rpartition("/")[2].startswith(UNFINISHED)


def _etag_of(answer: Answer, size: int | None) -> str:
    changed = answer.headers.get("Last-Modified")
    told = answer.headers.get("ETag", "")
    return _make_etag(told, size, parse_date(changed)) if told or (changed and size is not None) else ""


def _make_etag(told: str, size: int | None, mtime: int) -> str:
    """The server's, or size and time where it has none. A weak one is taken for what it says."""
    return told.removeprefix("W/").strip('"') or f"{size}-{mtime}"
