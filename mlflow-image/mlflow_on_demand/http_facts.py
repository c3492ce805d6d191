"""What the headers of an HTTP answer say of an object, whichever library brought them. Pure."""

import base64
import binascii
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")
# By RFC 3230 md5 and the sha family are base64; adler32 and crc32 are hex.
_ALGORITHMS = {"sha": "sha1", "sha-256": "sha256", "sha-512": "sha512"}
_HEX_DIGITS = {"adler32": 8, "crc32": 8, "md5": 32, "sha1": 40, "sha256": 64, "sha512": 128}


def parse_content_range(value: str | None) -> tuple[int, int] | None:
    """Of a `Content-Range`, where the part begins and how many bytes the whole object has."""
    found = _CONTENT_RANGE.fullmatch((value or "").strip())
    return (int(found[1]), int(found[2])) if found else None


def parse_date(value: str | None) -> int:
    """An HTTP date in seconds since 1970, 0 if it is none."""
    try:
        return int(parsedate_to_datetime(value or "").timestamp())
    except ValueError:
        return 0


def find_checksum(headers: Mapping[str, str]) -> str | None:
    """The checksum that the headers tell of the whole object: Repr-Digest (RFC 9530), Digest (RFC 3230, as WLCG's
    servers do), OC-Checksum (ownCloud, EOS) or Content-MD5; of several, the first that we know.
    """
    told = (
        *_pairs(headers.get("Repr-Digest", ""), "="),
        *_pairs(headers.get("Digest", ""), "="),
        *_pairs(headers.get("OC-Checksum", ""), ":"),
        *_pairs(f"md5={headers['Content-MD5']}" if "Content-MD5" in headers else "", "="),
    )
    return next((checksum for name, value in told if (checksum := make_checksum(name, value))), None)


def make_checksum(name: str, value: str) -> str | None:
    """`algorithm:hex` of an algorithm's name and a value in hex or base64; None if that is no checksum."""
    lower = name.strip().lower()
    algorithm = _ALGORITHMS.get(lower, lower)
    digits = _HEX_DIGITS.get(algorithm)
    value = value.strip().strip(":")
    if digits is None or not value:
        return None
    if re.fullmatch(f"[0-9a-fA-F]{{{digits}}}", value) or (digits == 8 and re.fullmatch("[0-9a-fA-F]{1,8}", value)):
        return f"{algorithm}:{value.lower().zfill(digits)}"
    try:
        plain = base64.b64decode(value, validate=True).hex()
    except (binascii.Error, ValueError):
        return None
    return f"{algorithm}:{plain}" if len(plain) == digits else None


def etag_checksum(etag: str, encryption: str | None, customer_algorithm: str | None) -> str | None:
    """The md5 that an S3 etag is, where it has the form of one and no key of somebody's own encrypts the object (by
    its `x-amz-server-side-encryption` and `…-customer-algorithm`).
    """
    plain = etag.strip('"')
    is_md5 = re.fullmatch("[0-9a-f]{32}", plain) and encryption in (None, "AES256") and customer_algorithm is None
    return f"md5:{plain}" if is_md5 else None


def _pairs(header: str, between: str) -> list[tuple[str, str]]:
    parts = (one.strip().partition(between) for one in header.split(","))
    return [(name, value) for name, _, value in parts if value]
