"""When two requests to MLflow are the same: method, path, query and JSON body, whatever the order of their keys.

A recorded answer is given to an equal request only, so what is not surely equal counts as different, and what MLflow
might read in another way than we do has no key at all. Pure.
"""

import json
from typing import NoReturn
from urllib.parse import parse_qsl

_JSON = "application/json"


def make_key(method: str, path: str, query: bytes = b"", content_type: str = "", body: bytes = b"") -> str | None:
    """The request in its one spelling, or None when it has none; `query` is what stands behind the `?`, still encoded.

    Values of a repeated parameter keep their order. Text is compared as it is, without Unicode normalisation. 1.0 and
    1.00 are the same, 1 and 1.0 are not. A GET with a body has no key, for MLflow may read it; nor has a POST whose
    body is no JSON, or is not called so.
    """
    if (method, bool(body)) not in (("GET", False), ("POST", True)):
        return None
    if body and content_type.partition(";")[0] != _JSON:  # as MLflow looks at it
        return None
    try:
        fields = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict")
        content = json.loads(body, parse_constant=_refuse) if body else None
        asked = [method, path, sorted(fields, key=lambda field: field[0]), content]
        return json.dumps(asked, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (ValueError, RecursionError):
        return None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
