"""Reads URIs of XRootD as ATLAS writes them, and makes the paths and URLs that the client library wants.

`root://eosatlas.cern.ch//eos/atlas/data?xrd.wantprot=krb5`: the first slash ends the host, the path begins with the
second; slashes more or less mean the same path. What follows `?` is for server and client, no part of a name; it may be
a secret (`authz=`), so it is sent and never shown. Nothing is percent-decoded: to XRootD `%20` is three characters.
"""

from dataclasses import dataclass, field

from mlflow_on_demand.errors import StoreError, StoreUriError

SCHEMES = frozenset({"root", "roots", "xroot", "xroots"})


class KeyRefused(StoreError):
    """XRootD cannot store such a name."""


@dataclass(frozen=True)
class XRootDUri:
    """A place on a server: `host` may carry a port and a user name, `path` is absolute and has no slash at its end."""

    scheme: str
    host: str
    path: str
    opaque: str = field(default="", repr=False)

    @classmethod
    def parse(cls, uri: str) -> "XRootDUri":
        """StoreUriError says what is wrong with it, without what follows its `?`."""
        shown, _, opaque = uri.partition("?")
        scheme, separator, rest = shown.partition("://")
        host, _, path = rest.partition("/")
        if not separator or scheme not in SCHEMES:
            raise StoreUriError(
                f"'{scheme}:…' is no URI of XRootD: it begins with root://, roots://, xroot:// or xroots://"
            )
        name = host.rpartition("@")[2]
        if ":" in host.rpartition("@")[0]:
            raise StoreUriError(f"the XRootD URI of {name} must not carry a password")
        if not name or name.startswith(":") or any(letter.isspace() for letter in host):
            raise StoreUriError("an XRootD URI needs a host: root://host//path")
        path = "/".join(filter(None, path.split("/")))
        if path:
            try:
                check_key(path)
            except KeyRefused:
                raise StoreUriError(f"the path of '{scheme}://{name}//…' is none that XRootD can store") from None
        return cls(scheme, host, f"/{path}", opaque)

    @property
    def server(self) -> str:
        """Host and port, for messages."""
        return self.host.rpartition("@")[2]

    def at(self, key: str) -> str:
        """The absolute path of a key below this place ("": this place itself); KeyRefused if it is no key."""
        if not key:
            return self.path
        check_key(key)
        return f"{self.path.rstrip('/')}/{key}"

    def __str__(self) -> str:
        """As ATLAS writes it, without what follows `?`."""
        return f"{self.scheme}://{self.host}/{self.path}".rstrip("/")


def check_key(key: str) -> None:
    """KeyRefused if XRootD cannot store this name: `?` begins what is no part of it, and a list has a name a line."""
    parts = key.split("/")
    is_printable = not any(ord(letter) < 32 or ord(letter) == 127 for letter in key)
    if not all(parts) or "." in parts or ".." in parts or "?" in key or not is_printable:
        raise KeyRefused(f"'{key}' is no key: XRootD cannot store '?', control characters, nor empty, . or .. parts")
