"""Which form of a file a client gets: the one it likes best, and of those that it likes equally our smallest.

Follows RFC 9110, 12.5.3. Pure.
"""

import re
from collections.abc import Iterable

IDENTITY = "identity"

_ELEMENT = re.compile(r"\s*([^\s;=]+)\s*(?:;\s*q\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*)?", re.IGNORECASE)
_OLD_NAMES = {"x-gzip": "gzip"}
# Not named and yet allowed: taken when nothing else is, so less than the smallest weight that can be written.
_UNNAMED = 0.0001


def choose_encoding(accept: str | None, offered: Iterable[str]) -> str | None:
    """The best of the encodings `offered`, smallest first, under a header `Accept-Encoding` (None: there is none).

    None when the client accepts none of them, not even `identity`.
    """
    if accept is None:
        return IDENTITY
    weights = _read_weights(accept)
    best, best_weight = None, 0.0
    for encoding in offered:
        unnamed = _UNNAMED if encoding == IDENTITY else 0.0
        weight = weights.get(encoding, weights.get("*", unnamed))
        if weight > best_weight:
            best, best_weight = encoding, weight
    return best


def _read_weights(accept: str) -> dict[str, float]:
    """Each coding with its weight; an element that is not well-formed counts as not there."""
    weights = {}
    for element in accept.split(","):
        if found := _ELEMENT.fullmatch(element):
            coding = found[1].lower()
            weights[_OLD_NAMES.get(coding, coding)] = float(found[2] or 1)
    return weights
