"""Which headers a proxy passes on, and which it adds. Pure.

Sources: RFC 9110 section 7.6.1 (Connection and hop-by-hop fields), RFC 7239 (Forwarded).
"""

from collections.abc import Iterable

Headers = list[tuple[bytes, bytes]]

_HOP_BY_HOP = {
    b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te",
    b"trailer", b"transfer-encoding", b"upgrade",
}  # fmt: skip


def end_to_end(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """The headers that are meant for the other end."""
    kept = [(name.lower(), value) for name, value in headers]
    named = {
        token.strip().lower()
        for name, value in kept
        if name == b"connection"
        for token in value.split(b",")
        if token.strip()
    }
    return [(name, value) for name, value in kept if name not in _HOP_BY_HOP | named]


def find(headers: Iterable[tuple[bytes, bytes]], wanted: bytes) -> bytes:
    """The first value of a header, empty when it is absent."""
    return next((value for name, value in headers if name.lower() == wanted), b"")


def forwarded(headers: Headers, client: str, scheme: str) -> Headers:
    """End-to-end request headers with the addresses that they came through."""
    host = find(headers, b"host")
    before = find(headers, b"x-forwarded-for")
    chain = before + b", " + client.encode() if before else client.encode()
    node = f'"[{client}]"' if ":" in client else client
    element = f"for={node};host={host.decode('latin-1')};proto={scheme}".encode("latin-1")
    earlier = find(headers, b"forwarded")
    replaced = {b"x-forwarded-for", b"forwarded"}
    kept = [(name, value) for name, value in headers if name not in replaced]
    names = {name for name, _ in kept}
    kept.append((b"x-forwarded-for", chain))
    if b"x-forwarded-proto" not in names:
        kept.append((b"x-forwarded-proto", scheme.encode()))
    if b"x-forwarded-host" not in names:
        kept.append((b"x-forwarded-host", host))
    kept.append((b"forwarded", earlier + b", " + element if earlier else element))
    return kept
