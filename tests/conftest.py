"""What tests of several modules share: real servers of stores and a real browser, which end with the tests."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from bigpanda_laptop.s3 import S3Server
from support.http_servers import Apache, serving_apache, serving_rclone
from support.moto_server import serving_moto
from support.need import lacking
from support.xrootd_server import XRootDServer, ground, serving_xrootd

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# No test asserts time: a busy machine fails nothing.
hypothesis.settings.register_profile("untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("untimed")


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server for all tests: each makes a bucket of its own, by a name of its own."""
    if not Path(sys.executable).with_name("rclone").exists():
        lacking("rclone is not beside this Python: run make setup")
    with S3Server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="session")
def moto_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Another S3 server, in memory."""
    with serving_moto(tmp_path_factory.mktemp("moto")) as environment:
        yield environment


@pytest.fixture(scope="session")
def rclone_webdav(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real WebDAV server that ignores conditions of a write."""
    with serving_rclone(tmp_path_factory.mktemp("rclone")) as address:
        yield address


@pytest.fixture(scope="session")
def apache() -> Iterator[Apache]:
    """A real WebDAV server that heeds them."""
    with serving_apache() as server:
        yield server


@pytest.fixture(scope="session")
def xrootd_server() -> Iterator[XRootDServer]:
    """A real XRootD server that asks nobody who they are, for all tests: each writes below a path of its own."""
    with ground() as place, serving_xrootd(place) as server:
        yield server


@pytest.fixture(scope="module")
def chromium() -> Iterator["Browser"]:
    """A real browser for a module: open for the session, it would make `asyncio.run` fail in every later test."""
    from support.browser import open_chromium  # half a second, which only browser tests should pay

    with open_chromium() as browser:
        yield browser
