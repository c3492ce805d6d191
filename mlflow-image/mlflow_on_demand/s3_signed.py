"""Signed GET and HEAD requests to an S3 server by the standard library alone, for the first moment of a wake.

boto3 does all of this and much more, and takes a tenth of a second of work before its first request: what a page needs
to be painted is read by then. Where credentials have to be looked for, boto3 looks. Signatures: version 4, as
docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html says it.
"""

import hashlib
import hmac
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from urllib.parse import SplitResult, quote, urlsplit

from mlflow_on_demand.s3_keys import Keys, find_keys

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
_SECONDS = 10.0
_NO_BODY = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True)
class Access:
    """A server and the keys that it takes. `env` is where they come from, for they may be others in an hour."""

    endpoint: SplitResult
    region: str
    keys: Keys
    ca_bundle: str | None
    env: Mapping[str, str] = field(repr=False)

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Access | None":
        """What boto3 would find in these variables and the file that they name, or None where it would look elsewhere
        too. AccessDenied if that file holds no keys.
        """
        endpoint = urlsplit(env.get("AWS_ENDPOINT_URL_S3") or env.get("AWS_ENDPOINT_URL") or "")
        if endpoint.scheme not in ("http", "https") or not endpoint.hostname:
            return None
        if any(env.get(name) for name in _PROXIES) or (keys := find_keys(env)) is None:
            return None
        region = env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or "us-east-1"
        return cls(endpoint, region, keys, env.get("AWS_CA_BUNDLE"), env)

    def sign(self, method: str, path: str) -> tuple[str, dict[str, str]]:
        """The encoded path of a request for `/bucket/key` of now, and the headers that sign it with the keys of now;
        AccessDenied if these are gone.
        """
        address = self.endpoint.path.rstrip("/") + quote(path, safe="/-._~")
        present = replace(self, keys=find_keys(self.env) or self.keys)
        return address, sign(present, method, address, datetime.now(UTC))

    def ask(self, method: str, path: str, headers: Mapping[str, str]) -> HTTPResponse:
        """The server's answer to a request for `/bucket/key`; OSError or HTTPException if there is none."""
        address, signed = self.sign(method, path)
        connection = self._connect()
        try:
            # With "close", the connection is the answer's own and ends with it.
            connection.request(method, address, headers={**headers, "Connection": "close", **signed})
            return connection.getresponse()
        except BaseException:
            connection.close()
            raise

    def _connect(self) -> HTTPConnection:
        host = self.endpoint.hostname or ""
        if self.endpoint.scheme == "http":
            return HTTPConnection(host, self.endpoint.port, timeout=_SECONDS)
        trusted = ssl.create_default_context(cafile=self.ca_bundle)
        return HTTPSConnection(host, self.endpoint.port, timeout=_SECONDS, context=trusted)


def sign(access: Access, method: str, address: str, now: datetime) -> dict[str, str]:
    """The headers that make a request without query and body a signed one; `address` is its encoded path. Pure."""
    moment = now.strftime("%Y%m%dT%H%M%SZ")
    signed = {"host": access.endpoint.netloc, "x-amz-content-sha256": _NO_BODY, "x-amz-date": moment}
    if access.keys.token:
        signed["x-amz-security-token"] = access.keys.token
    names = ";".join(signed)
    lines = [method, address, "", *(f"{name}:{value}" for name, value in signed.items()), "", names, _NO_BODY]
    scope = f"{moment[:8]}/{access.region}/s3/aws4_request"
    asked = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    derived = f"AWS4{access.keys.secret}".encode()
    for part in scope.split("/"):
        derived = _digest(derived, part)
    signature = _digest(derived, f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{asked}").hex()
    credential = f"Credential={access.keys.key}/{scope}"
    return {**signed, "Authorization": f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={names}, Signature={signature}"}


def _digest(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
