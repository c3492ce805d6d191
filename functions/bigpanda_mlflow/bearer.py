"""The bearer token of a request (RFC 6750), compared in constant time."""

import hmac
from collections.abc import Sequence

from pydantic import SecretStr

from bigpanda_mlflow.errors import Unauthorized


def check_bearer(authorization: str, tokens: Sequence[SecretStr]) -> None:
    """Raises Unauthorized unless the header carries one of the tokens.

    Every token is compared, and each in constant time, so that the answer's delay tells nothing of them.
    """
    scheme, _, given = authorization.partition(" ")
    presented = given.strip().encode()
    fits = [hmac.compare_digest(presented, token.get_secret_value().encode()) for token in tokens]
    if scheme.lower() != "bearer" or not any(fits):
        raise Unauthorized("a bearer token of this deployment is needed", "authorization")
