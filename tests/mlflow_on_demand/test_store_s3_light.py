"""What a wake reads of S3 before boto3 is there: signed as botocore signs, and given up where boto3 should look."""

import datetime
import http.server
import subprocess
import sys
from collections.abc import Iterator

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from bigpanda_laptop.s3 import S3Server
from mlflow_on_demand.errors import AccessDenied, StoreUnavailable
from mlflow_on_demand.s3_signed import Access, sign
from mlflow_on_demand.store_s3_light import LightS3Store, open_s3
from support.answering import answering

ENV = {
    "AWS_ENDPOINT_URL_S3": "https://s3.example.org:8443",
    "AWS_ACCESS_KEY_ID": "KEY",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_REGION": "cern",
}
READS = """
import sys
from mlflow_on_demand.stores import open_store
store = open_store("s3://light/some prefix")
assert store.read("ünïcode/a b+c", 0, 3) == b"012"
assert store.read("ünïcode/a b+c") == b"0123456789"
assert store.stat("ünïcode/a b+c").size == 10
with store.open("ünïcode/a b+c") as stream:
    assert stream.read(4) + stream.read() == b"0123456789"
print("boto3" in sys.modules, "ssl" in sys.modules and "botocore" in sys.modules)
assert store.read("ünïcode/a b+c", 2, 3) == b"234"
print("boto3" in sys.modules)
"""


def access(**more: str) -> Access:
    found = Access.from_env({**ENV, **more})
    assert found is not None
    return found


@pytest.mark.parametrize("token", ["", "session-token"])
@pytest.mark.parametrize("path", ["/bucket/key", "/b/a%20b/%C3%BC~x.y-z_1"])
def test_a_request_is_signed_as_botocore_would(token: str, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.datetime(2026, 11, 25, 12, 0, 1, tzinfo=datetime.UTC)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_: now)
    request = AWSRequest("GET", f"{ENV['AWS_ENDPOINT_URL_S3']}{path}")
    S3SigV4Auth(Credentials("KEY", "secret", token or None), "s3", "cern").add_auth(request)
    ours = sign(access(AWS_SESSION_TOKEN=token), "GET", path, now)
    assert ours["Authorization"] == request.headers["Authorization"]
    assert ours["x-amz-date"] == request.headers["X-Amz-Date"]


def test_whole_objects_need_no_boto3_and_parts_do(s3_server: S3Server) -> None:
    target = s3_server.folder / "light" / "some prefix" / "ünïcode"
    target.mkdir(parents=True)
    (target / "a b+c").write_bytes(b"0123456789")
    command = [sys.executable, "-c", READS]
    ran = subprocess.run(command, env=s3_server.environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == ["False", "False", "True"]


@pytest.mark.parametrize(
    "change",
    [
        {"AWS_ENDPOINT_URL_S3": ""},
        {"AWS_ENDPOINT_URL_S3": "ftp://x"},
        {"AWS_ACCESS_KEY_ID": ""},
        {"AWS_SECRET_ACCESS_KEY": ""},
        {"https_proxy": "http://proxy:3128"},
    ],
)
def test_what_has_to_be_looked_for_is_left_to_boto3(change: dict[str, str]) -> None:
    assert Access.from_env({**ENV, **change}) is None


def test_boto3_says_what_it_misses(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**ENV, "AWS_SECRET_ACCESS_KEY": ""}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(AccessDenied, match="no S3 credentials"):
        open_s3("bucket", "")


def test_no_secret_is_shown() -> None:
    shown = repr(access(AWS_SESSION_TOKEN="session-token"))
    assert "secret" not in shown
    assert "session-token" not in shown


class BreaksOff(http.server.BaseHTTPRequestHandler):
    """A server that promises ten bytes and sends four."""

    def do_GET(self) -> None:
        self.send_response(200)
        for name, value in (
            ("Content-Length", "10"),
            ("ETag", '"e"'),
            ("Last-Modified", "Wed, 25 Nov 2026 12:00:01 GMT"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"0123")

    def log_message(self, *_: object) -> None:
        """Nothing: pytest shows what failed."""


@pytest.fixture
def breaking() -> Iterator[str]:
    with answering(http.server.ThreadingHTTPServer(("127.0.0.1", 0), BreaksOff)) as server:
        yield f"http://127.0.0.1:{server.server_port}"


def test_a_stream_that_always_ends_too_early_is_an_error(breaking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**ENV, "AWS_ENDPOINT_URL_S3": breaking}.items():
        monkeypatch.setenv(name, value)
    store = LightS3Store("bucket", "", access(AWS_ENDPOINT_URL_S3=breaking))
    with store.open("x") as stream:
        assert stream.read(4) == b"0123"
        with pytest.raises(StoreUnavailable, match="broke off"):
            stream.read(4)
