"""What headers and WebDAV's XML say, and what they cannot make us believe."""

import pytest

from mlflow_on_demand.checksums import is_same, make_digest
from mlflow_on_demand.errors import StoreError
from mlflow_on_demand.http_facts import etag_checksum, find_checksum, parse_content_range, parse_date
from mlflow_on_demand.webdav import Entry, parse_entries

MD5 = "9a0364b9e99bb480dd25e1f0284c8555"  # of "content"
MD5_BASE64 = "mgNkuembtIDdJeHwKEyFVQ=="


@pytest.mark.parametrize(
    ("headers", "checksum"),
    [
        ({"Digest": "adler32=0bcb02fc"}, "adler32:0bcb02fc"),
        ({"Digest": "ADLER32=bcb02fc"}, "adler32:0bcb02fc"),
        ({"Digest": f"unixsum=1, md5={MD5_BASE64}"}, f"md5:{MD5}"),
        ({"Digest": f"MD5={MD5}"}, f"md5:{MD5}"),
        ({"Repr-Digest": f"md5=:{MD5_BASE64}:"}, f"md5:{MD5}"),
        ({"OC-Checksum": f"MD5:{MD5.upper()}"}, f"md5:{MD5}"),
        ({"Content-MD5": MD5_BASE64}, f"md5:{MD5}"),
        ({"Digest": "md5=nonsense"}, None),
        ({"Digest": "adler32="}, None),
        ({}, None),
    ],
)
def test_checksums_of_headers(headers: dict[str, str], checksum: str | None) -> None:
    assert find_checksum(headers) == checksum


@pytest.mark.parametrize("checksum", ["adler32:0bcb02fc", "adler32:BCB02FC", f"md5:{MD5}"])
def test_checksums_are_made(checksum: str) -> None:
    digest = make_digest(checksum)
    assert digest is not None
    digest.update(b"con")
    digest.update(b"tent")
    assert is_same(digest, checksum)
    digest.update(b"!")
    assert not is_same(digest, checksum)


@pytest.mark.parametrize("checksum", [None, "", "md6:00", "nothing"])
def test_what_we_cannot_make_is_not_compared(checksum: str | None) -> None:
    assert make_digest(checksum) is None


def test_s3_etags() -> None:
    assert etag_checksum(f'"{MD5}"', None, None) == f"md5:{MD5}"
    assert etag_checksum(f'"{MD5}"', "AES256", None) == f"md5:{MD5}"
    assert etag_checksum(f'"{MD5}"', "aws:kms", None) is None
    assert etag_checksum(f'"{MD5}"', None, "AES256") is None
    assert etag_checksum(f'"{MD5}-2"', None, None) is None


def test_ranges_and_dates() -> None:
    assert parse_content_range("bytes 5-9/10") == (5, 10)
    assert [parse_content_range(value) for value in (None, "", "bytes */10", "bytes 5-9/*")] == [None] * 4
    assert [parse_date(value) for value in ("Wed, 25 Nov 2026 12:00:01 GMT", None, "x")] == [1795608001, 0, 0]


ANSWER = """<?xml version="1.0"?><d:multistatus xmlns:d="DAV:" xmlns:o="http://owncloud.org/ns">{}</d:multistatus>"""
RESPONSE = """<d:response><d:href>{}</d:href><d:propstat><d:prop>{}</d:prop><d:status>HTTP/1.1 200 OK</d:status>
</d:propstat></d:response>"""
FILE = """<d:getcontentlength>7</d:getcontentlength><d:getetag>"e"</d:getetag>
<d:getlastmodified>Wed, 25 Nov 2026 12:00:01 GMT</d:getlastmodified>"""
FOLDER = "<d:resourcetype><d:collection/></d:resourcetype>"


def entries(*responses: str) -> list[Entry]:
    return list(parse_entries(ANSWER.format("".join(responses)).encode(), "/a b/"))


def test_entries() -> None:
    sums = f"<o:checksums><o:checksum>SHA1:x MD5:{MD5}</o:checksum></o:checksums>"
    assert entries(
        RESPONSE.format("http://host/a%20b/", FOLDER),
        RESPONSE.format("/a%20b/%C3%BC", FILE + sums),
        RESPONSE.format("/a%20b/deep/", FOLDER),
    ) == [
        Entry("", True, 0, 0, "", None),
        Entry("ü", False, 7, 1795608001, '"e"', f"md5:{MD5}"),
        Entry("deep", True, 0, 0, "", None),
    ]


@pytest.mark.parametrize(
    "href", ["/other/x", "/a%20bx", "/a%20b/../x", "/a%20b/%2e%2e/x", "/a%20b/..", "/a%20b/c/d", ""]
)
def test_what_does_not_lie_in_the_folder_is_left_out(href: str) -> None:
    assert entries(RESPONSE.format(href, FILE)) == []


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html><body>Log in",
        b'<!DOCTYPE d [<!ENTITY e SYSTEM "file:///etc/passwd">]><d>&e;</d>',
        b'<!DOCTYPE d [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><d>&b;</d>',
    ],
)
def test_what_is_no_list_is_an_error(answer: bytes) -> None:
    with pytest.raises(StoreError, match="not that of a WebDAV server"):
        list(parse_entries(answer, "/"))
