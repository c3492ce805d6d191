"""The S3 store of a wake: reads by signed requests of our own; whatever else is wanted, boto3 does.

Only success is judged here. Whatever else a server answers, or when it does not, boto3 asks again: with its retries,
and with the errors of `store_s3`.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing
from functools import cached_property, partial
from http.client import HTTPException, HTTPMessage, HTTPResponse
from typing import TYPE_CHECKING, BinaryIO

from mlflow_on_demand.errors import StoreUnavailable
from mlflow_on_demand.http_facts import etag_checksum, parse_content_range, parse_date
from mlflow_on_demand.s3_signed import Access
from mlflow_on_demand.store import Store, StoredObject
from mlflow_on_demand.transfer import Part, open_object, read_object

if TYPE_CHECKING:
    from mlflow_on_demand.s3_pooled import PooledAnswer, PooledReader
    from mlflow_on_demand.store_s3 import S3Store


def open_s3(bucket: str, prefix: str) -> Store:
    """The store under a prefix; endpoint and credentials come from the environment, or where boto3 looks for them."""
    access = Access.from_env(os.environ)
    return _open_full(bucket, prefix) if access is None else LightS3Store(bucket, prefix, access)


def _open_full(bucket: str, prefix: str) -> "S3Store":
    from mlflow_on_demand.store_s3 import S3Store

    return S3Store(bucket, prefix)


class LightS3Store:
    """Everything under one prefix of one bucket."""

    def __init__(self, bucket: str, prefix: str, access: Access) -> None:
        self._bucket, self._prefix, self._access = bucket, prefix.strip("/"), access

    @cached_property
    def _full(self) -> "S3Store":
        return _open_full(self._bucket, self._prefix)

    @cached_property
    def _pooled(self) -> "PooledReader":
        from mlflow_on_demand.s3_pooled import PooledReader

        return PooledReader(self._access)

    @property
    def uri(self) -> str:
        """The prefix as a URI."""
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """See Store."""
        return self._full.list(prefix)

    def stat(self, key: str) -> StoredObject:
        """See Store."""
        if (answer := self._ask("HEAD", key, {})) is None:
            return self._full.stat(key)
        with closing(answer):
            facts = answer.headers
            size, changed = int(facts["Content-Length"]), parse_date(facts["Last-Modified"])
            return StoredObject(key, size, changed, facts["ETag"].strip('"'), _checksum(facts))

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """See Store."""
        return read_object(key, partial(self._fetch, key), start, length)

    def open(self, key: str) -> AbstractContextManager[BinaryIO]:
        """See Store."""
        return open_object(key, partial(self._fetch, key))

    def _fetch(self, key: str, start: int, length: int | None, etag: str | None) -> Part:
        asked = {}
        if start or length is not None:
            asked["Range"] = f"bytes={start}-{'' if length is None else start + length - 1}"
        if etag is not None:
            asked["If-Match"] = f'"{etag}"'
        if start:  # a part of an artifact: many more follow, so connections are worth keeping
            self._full  # noqa: B018
        if (answer := self._ask("GET", key, asked)) is None:
            return self._full.fetch(key, start, length, etag)

        def read(size: int) -> bytes:
            try:
                return answer.read1(size)
            except (OSError, HTTPException) as error:
                raise StoreUnavailable(f"the S3 store broke off ({type(error).__name__})") from None

        facts = answer.headers
        begins, whole = parse_content_range(facts.get("Content-Range")) or (0, int(facts["Content-Length"]))
        return Part(read, answer.close, begins, whole, facts["ETag"].strip('"'), _checksum(facts))

    def write(self, key: str, source: BinaryIO) -> StoredObject:
        """See Store."""
        return self._full.write(key, source)

    def write_if(self, key: str, content: bytes, etag: str | None) -> StoredObject:
        """See Store."""
        return self._full.write_if(key, content, etag)

    def delete(self, key: str) -> None:
        """See Store."""
        self._full.delete(key)

    def list_unfinished(self) -> Iterator[StoredObject]:
        """See KeepsUnfinished."""
        return self._full.list_unfinished()

    def discard_unfinished(self, write: StoredObject) -> None:
        """See KeepsUnfinished."""
        self._full.discard_unfinished(write)

    def _ask(self, method: str, key: str, asked: Mapping[str, str]) -> "HTTPResponse | PooledAnswer | None":
        """The answer if it is what was asked for. Once boto3 is there, connections are kept."""
        path = "/" + "/".join(filter(None, (self._bucket, self._prefix, key)))
        try:
            reader = self._pooled if "_full" in vars(self) else self._access
            answer = reader.ask(method, path, asked)
        except (OSError, HTTPException):
            return None
        # Some servers send a part with 200; that it is one, its own header says.
        needed = ("Content-Length", "Last-Modified", "ETag", *(("Content-Range",) if "Range" in asked else ()))
        if answer.status in (200, 206) and all(name in answer.headers for name in needed):
            return answer
        answer.close()
        return None


def _checksum(facts: "HTTPMessage | Mapping[str, str]") -> str | None:
    encryption = "x-amz-server-side-encryption"
    return etag_checksum(facts["ETag"], facts.get(encryption), facts.get(f"{encryption}-customer-algorithm"))
