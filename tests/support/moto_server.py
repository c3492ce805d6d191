"""A second S3 server beside rclone's: moto's, another implementation, in memory, which heeds conditions of a write.

It stands for no server of anybody's, but two that agree say more than one. It checks no signatures.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.serving import free_port, serving


@contextmanager
def serving_moto(state: Path) -> Iterator[dict[str, str]]:
    """What an S3 client needs to reach it, as environment variables."""
    port = free_port()
    with serving([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], port, state / "log"):
        yield {
            "AWS_ACCESS_KEY_ID": "KEY",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}",
            "AWS_REGION": "us-east-1",
        }
