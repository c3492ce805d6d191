"""A store in an S3 bucket, through boto3, the only module that imports it (`store_s3_light` reads without it at first).

Credentials, endpoint and region come from boto3's own variables (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
AWS_ENDPOINT_URL_S3, AWS_REGION); keys in a file are read anew for each request (`s3_keys`). Addresses are path-style,
and checksums that are no part of the old protocol stay off: Ceph, MinIO and rclone answer too.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from io import BytesIO
from typing import Any, BinaryIO

import boto3
import botocore.session
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.credentials import CredentialProvider, Credentials, ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError
from urllib3.exceptions import HTTPError

from mlflow_on_demand.errors import (
    AccessDenied,
    ObjectMissing,
    PreconditionFailed,
    RangeBehindEnd,
    StoreError,
    StoreUnavailable,
)
from mlflow_on_demand.http_facts import etag_checksum, parse_content_range
from mlflow_on_demand.s3_keys import KEYS_FILE, find_keys, tell_refusal
from mlflow_on_demand.store import StoredObject
from mlflow_on_demand.transfer import Part, open_object, read_object

_MISSING = {"404", "NoSuchKey", "NoSuchBucket", "NotFound"}
_DENIED = {"401", "403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"}
_LOST_RACE = {"412", "PreconditionFailed", "409", "ConditionalRequestConflict"}
# One part at a time: memory stays at one part, whatever the object's size.
_ONE_PART_AT_A_TIME = TransferConfig(multipart_threshold=16 * 2**20, multipart_chunksize=16 * 2**20, use_threads=False)


class S3Store:
    """Everything under one prefix of one bucket."""

    def __init__(self, bucket: str, prefix: str) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        with _translated(""):
            self._client: Any = _client()

    @property
    def uri(self) -> str:
        """The prefix as a URI."""
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """See Store."""
        pages = self._client.get_paginator("list_objects_v2")
        with _translated(prefix):
            for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix + prefix):
                for entry in page.get("Contents", []):
                    if not entry["Key"].endswith("/"):
                        yield _facts(entry["Key"].removeprefix(self._prefix), entry, entry["Size"])

    def stat(self, key: str) -> StoredObject:
        """See Store."""
        with _translated(key):
            head = self._client.head_object(Bucket=self._bucket, Key=self._prefix + key)
        return replace(_facts(key, head, head["ContentLength"]), checksum=_checksum(head))

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """See Store."""
        return read_object(key, partial(self.fetch, key), start, length)

    def open(self, key: str) -> AbstractContextManager[BinaryIO]:
        """See Store."""
        return open_object(key, partial(self.fetch, key))

    def fetch(self, key: str, start: int, length: int | None, etag: str | None) -> Part:
        """One answer; see `transfer.Fetch`."""
        is_part = start > 0 or length is not None
        last = "" if length is None else str(start + length - 1)
        more = {"Range": f"bytes={start}-{last}"} if is_part else {}
        more |= {"IfMatch": f'"{etag}"'} if etag is not None else {}
        with _translated(key):
            answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key, **more)
        body = ExitStack()
        # As a context, the body is urllib3's own answer: that one gives bytes as soon as they come.
        raw = body.enter_context(answer["Body"])

        def read(size: int) -> bytes:
            try:
                return bytes(raw.read1(size))
            except (HTTPError, OSError) as error:
                raise StoreUnavailable(f"the S3 store broke off ({type(error).__name__})") from None

        begins, size = parse_content_range(answer.get("ContentRange")) or (0, int(answer["ContentLength"]))
        return Part(read, body.close, begins, size, answer["ETag"].strip('"'), _checksum(answer))

    def write(self, key: str, source: BinaryIO) -> StoredObject:
        """See Store."""
        with _translated(key):
            self._client.upload_fileobj(source, self._bucket, self._prefix + key, Config=_ONE_PART_AT_A_TIME)
        return self.stat(key)

    def write_if(self, key: str, content: bytes, etag: str | None) -> StoredObject:
        """See Store."""
        condition = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": f'"{etag}"'}
        with _translated(key):
            try:
                self._client.put_object(Bucket=self._bucket, Key=self._prefix + key, Body=BytesIO(content), **condition)
            except self._client.exceptions.NoSuchKey:  # S3's word for an `If-Match` where nothing is
                raise PreconditionFailed(f"somebody else removed '{key}'") from None
        return self.stat(key)

    def delete(self, key: str) -> None:
        """See Store."""
        with _translated(key):
            self._client.delete_object(Bucket=self._bucket, Key=self._prefix + key)

    def list_unfinished(self) -> Iterator[StoredObject]:
        """See KeepsUnfinished; the etag is the upload's id, its size is not told."""
        pages = self._client.get_paginator("list_multipart_uploads")
        with _translated(""):
            for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix):
                for upload in page.get("Uploads", []):
                    key = upload["Key"].removeprefix(self._prefix)
                    yield StoredObject(key, 0, int(upload["Initiated"].timestamp()), upload["UploadId"])

    def discard_unfinished(self, write: StoredObject) -> None:
        """See KeepsUnfinished."""
        with _translated(write.key):
            self._client.abort_multipart_upload(Bucket=self._bucket, Key=self._prefix + write.key, UploadId=write.etag)


def _client() -> Any:
    config = Config(
        s3={"addressing_style": "path"},
        retries={"mode": "standard", "total_max_attempts": 3},
        connect_timeout=5,
        read_timeout=30,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    session = botocore.session.Session()
    if find_keys(os.environ) is not None:
        session.get_component("credential_provider").insert_before("env", _PresentKeys())
    return boto3.session.Session(botocore_session=session).client("s3", region_name=region, config=config)


class _PresentKeys(CredentialProvider):  # type: ignore[misc]
    """What boto3 asks for keys before it looks for any itself."""

    METHOD = CANONICAL_NAME = "bigpanda-present-keys"

    def load(self) -> Credentials:
        return _Present(*_frozen())


class _Present(Credentials):  # type: ignore[misc]
    """Keys that are looked for again whenever a request is signed."""

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        return ReadOnlyCredentials(*_frozen())


def _frozen() -> tuple[str, str, str | None]:
    keys = find_keys(os.environ)
    if keys is None:
        raise AccessDenied("there are no S3 keys any more where there were some")
    return keys.key, keys.secret, keys.token or None


def _facts(key: str, entry: Any, size: int) -> StoredObject:
    return StoredObject(key, int(size), int(entry["LastModified"].timestamp()), entry["ETag"].strip('"'))


def _checksum(answer: Any) -> str | None:
    return etag_checksum(answer["ETag"], answer.get("ServerSideEncryption"), answer.get("SSECustomerAlgorithm"))


@contextmanager
def _translated(key: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        raise _own_error(key, error.response) from None
    except (NoCredentialsError, PartialCredentialsError):
        raise AccessDenied(f"no S3 credentials are configured: neither AWS_ACCESS_KEY_ID nor {KEYS_FILE}") from None
    except BotoCoreError as error:
        raise StoreUnavailable(f"the S3 store does not answer ({type(error).__name__})") from None


def _own_error(key: str, response: Any) -> StoreError:
    code = str(response.get("Error", {}).get("Code", ""))
    status = str(response.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
    if {code, status} & _LOST_RACE:
        return PreconditionFailed(f"somebody else wrote '{key}' first")
    if {code, status} & _MISSING:
        return ObjectMissing(f"there is no '{key}'" if code != "NoSuchBucket" else "the bucket does not exist")
    if {code, status} & _DENIED:
        return AccessDenied(tell_refusal(code, f"'{key}'", os.environ))
    if code == "InvalidRange" or status == "416":
        return RangeBehindEnd(f"'{key}' ends before that range")
    return StoreUnavailable(f"the S3 store answered {status or 'nothing'} to a request for '{key}'")
