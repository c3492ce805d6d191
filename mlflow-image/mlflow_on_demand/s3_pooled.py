"""Signed reads over connections that are kept, for the many that follow the first moment of a wake.

boto3 spends milliseconds of a core on each request, most of it on what a read of a known object does not need; of a
thousand small objects these are the time that it takes. Imports urllib3, so it waits until boto3 is there anyway.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass

import urllib3
from urllib3.exceptions import HTTPError

from mlflow_on_demand.s3_signed import Access

_CONNECTIONS = 32
_TIMEOUT = urllib3.Timeout(connect=5, read=30)


class PooledReader:
    """Asks one S3 server; threads may share it."""

    def __init__(self, access: Access) -> None:
        self._access = access
        is_https = access.endpoint.scheme == "https"
        context = ssl.create_default_context(cafile=access.ca_bundle) if is_https else None
        self._pools = urllib3.PoolManager(maxsize=_CONNECTIONS, timeout=_TIMEOUT, ssl_context=context)

    def ask(self, method: str, path: str, headers: Mapping[str, str]) -> "PooledAnswer":
        """The server's answer to a request for `/bucket/key`; OSError if there is none."""
        address, signed = self._access.sign(method, path)
        try:
            answer = self._pools.urlopen(
                method,
                f"{self._access.endpoint.scheme}://{self._access.endpoint.netloc}{address}",
                headers={"Accept-Encoding": "identity", **headers, **signed},
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
        except HTTPError as error:
            raise ConnectionError(type(error).__name__) from None
        return PooledAnswer(answer)


@dataclass(frozen=True)
class PooledAnswer:
    """As much of an answer as http.client's has too."""

    _answer: urllib3.BaseHTTPResponse

    @property
    def status(self) -> int:
        """The status code."""
        return self._answer.status

    @property
    def headers(self) -> Mapping[str, str]:
        """By names of any case."""
        return self._answer.headers

    def read1(self, size: int) -> bytes:
        """Some bytes, none at the end; OSError if the connection fails."""
        try:
            return self._answer.read1(size)
        except HTTPError as error:
            raise ConnectionError(type(error).__name__) from None

    def close(self) -> None:
        """Let go of the connection, which is kept if nothing is left in it."""
        self._answer.close()
