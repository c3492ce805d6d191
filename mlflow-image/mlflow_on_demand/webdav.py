"""What WebDAV (RFC 4918) says of the members of a folder: the question as XML, and the answer as facts. Pure.

The answer comes from a server that is not trusted: no document type, so no entities, and nothing that does not lie in
the folder that was asked for.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from urllib.parse import unquote, urlsplit
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from mlflow_on_demand.errors import StoreError
from mlflow_on_demand.http_facts import make_checksum, parse_date

PROPFIND = (
    b'<?xml version="1.0" encoding="utf-8"?><D:propfind xmlns:D="DAV:" xmlns:o="http://owncloud.org/ns"><D:prop>'
    b"<D:resourcetype/><D:getcontentlength/><D:getlastmodified/><D:getetag/><o:checksums/></D:prop></D:propfind>"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or a folder by its name in the folder that was asked for ("" is that folder itself)."""

    name: str
    is_folder: bool
    size: int
    mtime: int
    etag: str
    checksum: str | None


def parse_entries(answer: bytes, folder: str) -> Iterator[Entry]:
    """The entries of a multistatus answer about a folder, whose path is given decoded; StoreError if it is none."""
    try:
        for _, element in iterparse(BytesIO(answer), forbid_dtd=True):
            if element.tag == "{DAV:}response":
                entry = _entry(element, folder.strip("/"))
                if entry is not None:
                    yield entry
                element.clear()
    except (ParseError, DefusedXmlException, ValueError):
        raise StoreError("the server's list is not that of a WebDAV server") from None


def _entry(response: Element, folder: str) -> Entry | None:
    path = unquote(urlsplit(response.findtext("{DAV:}href", "").strip()).path).strip("/")
    name = path.removeprefix(folder).strip("/")
    found = _properties(response)
    is_inside = path == folder or path.startswith(f"{folder}/" if folder else "")
    if found is None or not is_inside or "/" in name or name in (".", ".."):
        return None
    size = found.findtext("{DAV:}getcontentlength", "").strip()
    return Entry(
        name,
        found.find("{DAV:}resourcetype/{DAV:}collection") is not None,
        int(size) if size.isdigit() else 0,
        parse_date(found.findtext("{DAV:}getlastmodified")),
        found.findtext("{DAV:}getetag", "").strip(),
        _checksum(found),
    )


def _properties(response: Element) -> Element | None:
    """Those that the server has: it tells of the others in a `propstat` of their own."""
    for propstat in response.iter("{DAV:}propstat"):
        if " 200" in propstat.findtext("{DAV:}status", ""):
            return propstat.find("{DAV:}prop")
    return None


def _checksum(properties: Element) -> str | None:
    """Of ownCloud's property: `SHA1:… MD5:… ADLER32:…` in one text or several."""
    found = properties.find("{http://owncloud.org/ns}checksums")
    words = [] if found is None else " ".join(found.itertext()).split()
    told = (make_checksum(name, value) for name, _, value in (word.partition(":") for word in words))
    return next((checksum for checksum in told if checksum), None)
