"""Uses a store once, in a process of its own, for XRootD's client keeps what it found of credentials while it lives.

-m support.xrootd_use <URI>       prints what it read of what it wrote, or the error
"""

import io
import sys

from mlflow_on_demand.errors import StoreError
from mlflow_on_demand.stores import open_store


def use(uri: str) -> str:
    """Write, list, read."""
    store = open_store(uri)
    try:
        written = store.write("a/b.txt", io.BytesIO(b"through"))
        listed = [found.key for found in store.list()]
        return f"{listed} {store.read(written.key).decode()} {written.checksum}"
    except StoreError as error:
        return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    print(use(sys.argv[1]))
