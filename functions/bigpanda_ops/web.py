"""HTTP to the platform's own hosts: the front door and tasks' pages.

Promises: no redirect is followed, no proxy or .netrc of the environment is used, so a token goes where it was meant to;
a host under `.localhost` is this machine (RFC 6761), whatever the resolver says.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

import requests

from bigpanda_ops.outcomes import Unreachable

CONNECT_SECONDS = 5.0


def ask(
    method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None, seconds: float = 60.0
) -> requests.Response:
    """The answer, whatever its status. Raises Unreachable where there is none, and TimeoutError past `seconds`."""
    where, host = _resolve(url)
    with requests.Session() as session:
        session.trust_env = False
        try:
            return session.request(
                method,
                where,
                headers={**(headers or {}), "Host": host},
                data=body,
                timeout=(min(CONNECT_SECONDS, seconds), seconds),
                allow_redirects=False,
            )
        except requests.ReadTimeout:
            raise TimeoutError(f"{url} did not answer within {seconds:.0f} s") from None
        except (requests.RequestException, ValueError) as error:
            raise Unreachable(f"{url} cannot be reached from here ({_cause(error)})") from None


def _resolve(url: str) -> tuple[str, str]:
    """The URL to connect to, and the Host to name there."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise Unreachable(f"{url} is no http or https address")
    if parts.scheme == "http" and (parts.hostname == "localhost" or parts.hostname.endswith(".localhost")):
        port = f":{parts.port}" if parts.port else ""
        return parts._replace(netloc=f"127.0.0.1{port}").geturl(), parts.netloc
    return url, parts.netloc


def _cause(error: Exception) -> str:
    text = str(error)
    for sign, words in (
        ("Name or service not known", "its name does not resolve"),
        ("nodename nor servname", "its name does not resolve"),
        ("Failed to resolve", "its name does not resolve"),
        ("Connection refused", "nothing listens there"),
        ("CERTIFICATE_VERIFY_FAILED", "its certificate cannot be verified"),
        ("timed out", "no connection within a few seconds"),
    ):
        if sign in text:
            return words
    return type(error).__name__
