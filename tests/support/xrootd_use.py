"""Uses a store once, in a process of its own, for XRootD's client keeps what it found of credentials while it lives.

-m support.xrootd_use <URI>       prints what it read of what it wrote, or the error
"""

import io
import os
import subprocess
import sys
from pathlib import Path

from mlflow_on_demand.errors import StoreError
from mlflow_on_demand.stores import open_store

FINE = "['a/b.txt'] through adler32:0c2e0302"
TESTS = Path(__file__).parents[1]


def use_elsewhere(uri: str, **environment: str) -> str:
    """What a process says that has these credentials only."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("BEARER_", "X509_", "Xrd"))}
    command = [sys.executable, "-m", "support.xrootd_use", uri]
    env = {**clean, "PYTHONPATH": str(TESTS), **environment}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout.strip()


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
    if "ROTATE_TO" in os.environ:
        Path(os.environ["ROTATE_TO"]).replace(os.environ["BEARER_TOKEN_FILE"])
        print(use(sys.argv[1]))
