"""From a URI to the store behind it: which scheme means which backend.

Opening a store touches no network, and a backend's library is imported only when its scheme is used.
"""

from urllib.parse import unquote, urlsplit

from mlflow_on_demand.errors import StoreUriError
from mlflow_on_demand.store import Store
from mlflow_on_demand.xrootd_uri import SCHEMES as XROOTD_SCHEMES

HTTP_SCHEMES = ("http", "https", "dav", "davs")


def open_store(uri: str) -> Store:
    """The store under `file:///directory`, `s3://bucket/prefix`, `https://host/path` (`http`, `dav` and `davs` too) or
    `root://host//path` (`roots`, `xroot` and `xroots` too); StoreUriError for anything else.
    """
    try:
        parts = urlsplit(uri)
    except ValueError:
        raise StoreUriError("a store's address is no URI") from None
    if parts.scheme == "file" and not parts.netloc and parts.path:
        from mlflow_on_demand.store_file import FileStore

        return FileStore(unquote(parts.path))
    if parts.scheme == "s3" and parts.netloc:
        from mlflow_on_demand.store_s3_light import open_s3

        return open_s3(parts.netloc, uri.split("://", 1)[1].partition("/")[2])
    if parts.scheme in HTTP_SCHEMES and parts.netloc:
        from mlflow_on_demand.store_http import HttpStore

        return HttpStore(uri)
    if parts.scheme in XROOTD_SCHEMES:
        from mlflow_on_demand.store_xrootd import XRootDStore

        return XRootDStore(uri)
    raise StoreUriError(
        f"no store answers to the scheme of '{parts.scheme}:…'; use s3://bucket/prefix, https://host/path, davs://host/path,"
        " root://host//path or file:///directory"
    )


def split_uri(uri: str) -> tuple[str, str]:
    """A single object's URI as (its store's URI prefix, its key), for `open_store`."""
    prefix, _, key = uri.rpartition("/")
    return prefix, unquote(key) if urlsplit(uri).scheme in ("file", *HTTP_SCHEMES) else key
