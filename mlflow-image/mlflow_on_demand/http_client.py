"""Asks HTTP servers that hold objects: one request with its redirects, its token and its certificates.

Every address, that of a redirect too, is shown to a check before anything is sent to it. Redirects are followed here
and not by the library; `Authorization` goes to the server that was named and to no other, and never over plain HTTP.
The environment names the credentials, which are read anew as they rotate: a bearer token (`bearer_token`), an X.509
proxy (X509_USER_PROXY) or certificate (X509_USER_CERT, X509_USER_KEY), and who is trusted beside the system's own
authorities (SSL_CERT_FILE, REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE, and X509_CERT_DIR).
"""

import datetime as dt
import os
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import BinaryIO
from urllib.parse import SplitResult, urljoin, urlsplit

import urllib3
from urllib3.exceptions import HTTPError, SSLError

from mlflow_on_demand.bearer_token import end_of_token, find_bearer_token
from mlflow_on_demand.errors import (
    AccessDenied,
    ObjectMissing,
    PreconditionFailed,
    RangeBehindEnd,
    StoreError,
    StoreUnavailable,
)

Check = Callable[[SplitResult], str]
"""Whether, and where, an address may be asked: gives the host name or IP address to connect to; StoreError refuses."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_HOPS = 5
_PASSING = frozenset({408, 423, 425, 429, 500, 502, 503, 504})
_TIMEOUT = urllib3.Timeout(connect=5, read=30)
_CONNECTIONS = 32
_WORTH_READING = 64 * 1024
"""So many bytes of a reason that nobody wants are read, for the sake of the connection."""


def connect_anywhere(address: SplitResult) -> str:
    """The check of a deployment without one."""
    return address.hostname or ""


@dataclass(frozen=True)
class Answer:
    """A server's answer, its body not read yet; `token` says in words what it was told of our bearer token."""

    status: int
    headers: Mapping[str, str]
    host: str
    token: str
    _response: urllib3.BaseHTTPResponse = field(repr=False)

    def read(self, size: int) -> bytes:
        """At most so many bytes, as soon as there are some; b"" at the end."""
        try:
            return self._response.read1(size)
        except (HTTPError, OSError) as error:
            raise StoreUnavailable(f"{self.host} broke off ({type(error).__name__})") from None

    def read_all(self, most: int) -> bytes:
        """The whole body; StoreError if it is larger."""
        body = b""
        while chunk := self.read(most):
            body += chunk
            if len(body) > most:
                raise StoreError(f"{self.host} answers with more than {most} bytes")
        return body

    def close(self) -> None:
        """Let go of it: its connection is used again if nothing is left in it."""
        told = self._response.headers.get("Content-Length", "")
        # Never of an object: a slow server would hold us until the last byte that nobody wants.
        if self.status not in (200, 206) and told.isdigit() and int(told) <= _WORTH_READING:
            with suppress(StoreUnavailable):
                self.read(_WORTH_READING)
        # One that was read to its end has given its connection back already.
        self._response.close()


class HttpClient:
    """Connections that are used again; threads may share one client."""

    def __init__(self, check: Check = connect_anywhere) -> None:
        self._check = check
        self._lock = Lock()
        self._made_for: tuple[object, ...] = ()
        self._pools = urllib3.PoolManager()

    def ask(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: BinaryIO | bytes | None = None
    ) -> Answer:
        """The answer, whatever its status, when redirects were followed; StoreUnavailable if there is none."""
        first = address = urlsplit(url)
        stream = None if isinstance(body, bytes) else body
        begins = stream.tell() if stream else 0
        for _ in range(_MOST_HOPS):
            answer = self._ask_once(method, address, first, headers or {}, body)
            onward = answer.headers.get("Location") if answer.status in _REDIRECTS else None
            if onward is None:
                return answer
            answer.close()
            address = _follow(address, onward)
            if answer.status == 303 and method not in ("GET", "HEAD"):
                raise StoreError(f"{answer.host} sends a {method} elsewhere in a way that loses it (303)")
            if stream:
                stream.seek(begins)
        raise StoreError(f"{first.hostname} sends us on more than {_MOST_HOPS} times")

    def _ask_once(
        self,
        method: str,
        address: SplitResult,
        first: SplitResult,
        headers: Mapping[str, str],
        body: BinaryIO | bytes | None,
    ) -> Answer:
        peer = self._check(address)
        token = find_bearer_token(os.environ) if _is_same_server(address, first) and _is_https(address) else None
        sent = {"Accept-Encoding": "identity", **headers, "Host": address.netloc}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        names = {"server_hostname": address.hostname, "assert_hostname": address.hostname} if _is_https(address) else {}
        host = address.hostname or ""
        try:
            pool = self._current_pools().connection_from_host(peer, address.port, address.scheme, pool_kwargs=names)
            response = pool.urlopen(
                method,
                address._replace(scheme="", netloc="", fragment="").geturl() or "/",
                body=body,
                headers=sent,
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
        except SSLError as error:
            raise StoreError(f"there is no secure connection to {host}: {_tls_reason(error)}") from None
        except (HTTPError, OSError) as error:
            raise StoreUnavailable(f"{host} does not answer ({type(error).__name__})") from None
        return Answer(response.status, response.headers, host, _tell_token(token), response)

    def _current_pools(self) -> urllib3.PoolManager:
        """The connections made with the certificates that lie there now."""
        files = [os.environ.get(name, "") for name in ("X509_USER_PROXY", "X509_USER_CERT", "X509_USER_KEY", *_TRUST)]
        made_for = tuple((name, _mtime(name)) for name in files)
        with self._lock:
            if made_for != self._made_for:
                context = _make_context(os.environ)
                self._pools = urllib3.PoolManager(maxsize=_CONNECTIONS, timeout=_TIMEOUT, ssl_context=context)
                self._made_for = made_for
            return self._pools


def make_error(answer: Answer, what: str) -> StoreError:
    """What an answer that is not wanted means; `what` names what was asked for, without a query."""
    status, host = answer.status, answer.host
    if status in (401, 403):
        return AccessDenied(f"{host} denies access to {what} ({status}; {answer.token})")
    if status in (404, 410):
        return ObjectMissing(f"there is no {what}")
    if status == 412:
        return PreconditionFailed(f"somebody else wrote {what} first")
    if status == 416:
        return RangeBehindEnd(f"{what} ends before that range")
    kind = StoreUnavailable if status in _PASSING else StoreError
    return kind(f"{host} answered {status} to a request for {what}")


def _tell_token(token: str | None) -> str:
    if token is None:
        return "no bearer token was sent"
    end = end_of_token(token)
    if end is not None and end < dt.datetime.now(dt.UTC):
        return f"the bearer token was sent, which ended at {end:%Y-%m-%d %H:%M:%S} UTC"
    return "the bearer token was sent"


_TRUST = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "X509_CERT_DIR")


def _make_context(env: Mapping[str, str]) -> ssl.SSLContext:
    context = ssl.create_default_context()
    proxy = env.get("X509_USER_PROXY")
    certificate, key = (proxy, proxy) if proxy else (env.get("X509_USER_CERT"), env.get("X509_USER_KEY"))
    try:
        for name in _TRUST[:3]:
            if env.get(name):
                context.load_verify_locations(cafile=env[name])
        if env.get("X509_CERT_DIR"):
            context.load_verify_locations(capath=env["X509_CERT_DIR"])
    except OSError as error:
        raise StoreError(f"the authorities that {' or '.join(_TRUST)} name cannot be read: {error.strerror}") from None
    try:
        if certificate:
            context.load_cert_chain(certificate, key)
    except OSError:
        raise AccessDenied(f"the certificate '{certificate}' or its key cannot be used") from None
    return context


def _follow(address: SplitResult, onward: str) -> SplitResult:
    """Where a redirect leads; what it carries in its query may be a credential, so messages name the host only."""
    try:
        target = urlsplit(urljoin(address.geturl(), onward))
        is_good = target.scheme in ("http", "https") and bool(target.hostname) and (target.port or 1) > 0
    except ValueError:
        is_good = False
    if not is_good or "@" in target.netloc:
        raise StoreError(f"{address.hostname} sends us on to an address that is none")
    if _is_https(address) and not _is_https(target):
        raise StoreError(f"{address.hostname} sends us on to {target.hostname} without encryption")
    return target


def _is_https(address: SplitResult) -> bool:
    return address.scheme == "https"


def _is_same_server(one: SplitResult, other: SplitResult) -> bool:
    return (one.scheme, one.netloc.lower()) == (other.scheme, other.netloc.lower())


def _mtime(name: str) -> int:
    try:
        return Path(name).stat().st_mtime_ns if name else 0
    except OSError:
        return 0


def _tls_reason(error: SSLError) -> str:
    cause = error.args[0] if error.args else error
    return str(getattr(cause, "verify_message", "") or getattr(cause, "reason", "") or "it failed")
