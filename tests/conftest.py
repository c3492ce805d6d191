"""What tests of several modules share: real servers and a real browser, started once and ended with the tests."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from bigpanda_laptop.s3 import S3Server
from support.browser import open_chromium
from support.need import lacking


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server for all tests: each makes a bucket of its own, by a name of its own."""
    if not Path(sys.executable).with_name("rclone").exists():
        lacking("rclone is not beside this Python: run make setup")
    with S3Server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A real browser for a module: for the session it would keep `asyncio.run` from all tests after the first."""
    with open_chromium() as browser:
        yield browser
