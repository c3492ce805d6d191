"""The bearer token of a request (RFC 6750), compared in constant time, and who has it."""

import hmac
from collections.abc import Mapping, Sequence
from enum import StrEnum

from pydantic import SecretStr

from bigpanda_mlflow.errors import Unauthorized


class Role(StrEnum):
    """Who stands at the front door."""

    BIGPANDA = "bigpanda"
    OPS = "ops"


def check_bearer(authorization: str, tokens: Mapping[Role, Sequence[SecretStr]]) -> Role:
    """Whose token the header carries. Raises Unauthorized unless it is one of these.

    Every token is compared, and each in constant time, so that the answer's delay tells nothing of them.
    """
    scheme, _, given = authorization.partition(" ")
    presented = given.strip().encode()
    fits = [
        (role, hmac.compare_digest(presented, token.get_secret_value().encode()))
        for role, own in tokens.items()
        for token in own
    ]
    roles = [role for role, fit in fits if fit]
    if scheme.lower() != "bearer" or not roles:
        raise Unauthorized("a bearer token of this deployment is needed", "authorization")
    return roles[0]
