"""Listing and reading a large task from stores that are some milliseconds away: one tarball after the other, and as
ingest does it.
"""

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.figures import Figure
from bigpanda_laptop.s3 import S3Server
from support.http_servers import serving_rclone
from support.slow_tcp import slow_tcp
from support.xrootd_server import EXPORT, ground, serving_xrootd

OBJECTS, SIZE = 1000, 100_000
MILLISECONDS = 5


@dataclass(frozen=True)
class Served:
    """A store that serves a folder: the folder, the server's `host:port`, and of a port its URI and environment."""

    folder: Path
    address: str
    uri: Callable[[str], str]
    environment: Callable[[str], Mapping[str, str]] = lambda _: {}


@contextmanager
def s3(state: Path) -> Iterator[Served]:
    with S3Server(state / "s3") as server:
        known = server.environment
        yield Served(
            state / "s3" / "bench",
            server.endpoint.removeprefix("http://"),
            lambda _: "s3://bench",
            lambda address: {**known, "AWS_ENDPOINT_URL_S3": f"http://{address}"},
        )


@contextmanager
def webdav(state: Path) -> Iterator[Served]:
    (state / "webdav").mkdir()
    with serving_rclone(state / "webdav") as address:
        yield Served(state / "webdav/files/bench", address.removeprefix("http://"), lambda at: f"dav://{at}/bench")


@contextmanager
def xrootd(_: Path) -> Iterator[Served]:
    with ground() as place, serving_xrootd(place) as server:
        yield Served(server.data / "bench", f"localhost:{server.port}", lambda at: f"root://{at}/{EXPORT}/bench")


STORES = {"S3": s3, "WebDAV": webdav, "XRootD": xrootd}


def measure_stores(state: Path, samples: int) -> Iterator[Figure]:
    """Takes about a minute for each."""
    for name, serve in STORES.items():
        with serve(state) as served, slow_tcp(served.address, MILLISECONDS) as slow:
            write_objects(served.folder)
            environment = {**os.environ, **served.environment(slow)}
            ahead, serial = (
                [read(served.uri(slow), how, environment) for _ in range(samples)] for how in ("ahead", "serial")
            )
        what = f"{name}, {MILLISECONDS} ms away: {OBJECTS:,} tarballs of {SIZE // 1000} kB listed and read"
        for unit, of, key in (("s", what, "seconds"), ("MB", f"memory of it ({name})", "megabytes")):
            ours, theirs = ([one[key] for one in told] for told in (ahead, serial))
            yield Figure(of, unit, ours, "one after the other", tuple(theirs))


def write_objects(folder: Path) -> None:
    folder.mkdir()
    chance = random.Random(1)
    for number in range(OBJECTS):
        (folder / f"30456789.metrics.{number:06}.tgz").write_bytes(chance.randbytes(SIZE))


def read(uri: str, how: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """What `bench.stores_once` tells."""
    command = [sys.executable, "-m", "bench.stores_once", uri, how]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
    told: dict[str, Any] = json.loads(done.stdout)
    assert (told["objects"], told["bytes"]) == (OBJECTS, OBJECTS * SIZE)
    return told
