"""The laptop's S3 server, spoken to with the client that production uses."""

import http.client
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from bigpanda_laptop import s3
from support.laptop import until

MEBIBYTE = 1024 * 1024


@pytest.fixture
def client(s3_server: s3.S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    session = boto3.session.Session(region_name=s3_server.environment["AWS_REGION"])
    client = session.client("s3")
    yield client
    client.close()


@pytest.fixture
def bucket(client: Any, request: pytest.FixtureRequest) -> str:
    name: str = request.node.name.replace("_", "-")
    client.create_bucket(Bucket=name)
    return name


def test_an_object_is_a_file_and_a_file_is_an_object(client: Any, bucket: str, s3_server: s3.S3Server) -> None:
    client.put_object(Bucket=bucket, Key="a/b c%+.tgz", Body=b"put")
    (s3_server.folder / bucket / "a" / "copied").write_bytes(b"copied")
    assert (s3_server.folder / bucket / "a" / "b c%+.tgz").read_bytes() == b"put"

    def keys() -> list[str]:
        return [found["Key"] for found in client.list_objects_v2(Bucket=bucket, Prefix="a/")["Contents"]]

    until(lambda: keys() == ["a/b c%+.tgz", "a/copied"], 10, "the copied file is listed")
    assert client.get_object(Bucket=bucket, Key="a/copied")["Body"].read() == b"copied"


def test_a_part_of_an_object_can_be_read(client: Any, bucket: str) -> None:
    client.put_object(Bucket=bucket, Key="digits", Body=b"0123456789")
    answer = client.get_object(Bucket=bucket, Key="digits", Range="bytes=2-4")
    assert (answer["Body"].read(), answer["ContentRange"]) == (b"234", "bytes 2-4/10")


def test_lists_come_in_pages(client: Any, bucket: str) -> None:
    for number in range(5):
        client.put_object(Bucket=bucket, Key=f"page/{number}", Body=b"")
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": 2})
    assert [[found["Key"] for found in page["Contents"]] for page in pages] == [
        ["page/0", "page/1"],
        ["page/2", "page/3"],
        ["page/4"],
    ]


def test_a_large_object_comes_in_parts(client: Any, bucket: str) -> None:
    content = os.urandom(11 * MEBIBYTE)
    parts = TransferConfig(multipart_threshold=5 * MEBIBYTE, multipart_chunksize=5 * MEBIBYTE)
    client.upload_fileobj(io.BytesIO(content), bucket, "large", Config=parts)
    assert client.get_object(Bucket=bucket, Key="large")["Body"].read() == content


def test_without_the_key_nothing_is_served(s3_server: s3.S3Server) -> None:
    connection = http.client.HTTPConnection(urlsplit(s3_server.endpoint).netloc, timeout=10)
    connection.request("GET", "/")
    assert connection.getresponse().status == 400
    connection.close()
    stranger = boto3.client(
        "s3",
        endpoint_url=s3_server.endpoint,
        region_name="us-east-1",
        aws_access_key_id=s3_server.environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key="guessed",
    )
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        stranger.list_buckets()
    stranger.close()


def test_no_secret_is_on_the_command_line_and_no_setting_of_the_users_is_kept() -> None:
    assert s3.make_environment({"PATH": "/bin", "RCLONE_CONFIG": "/home/me/rclone.conf"}, "KEY", "SECRET") == {
        "PATH": "/bin",
        "RCLONE_AUTH_KEY": '"KEY,SECRET"',
    }
    assert s3.make_command(Path("/data"), 9000)[-10:] == [
        *(str(Path(sys.executable).with_name("rclone")), "serve", "s3", "/data", "--addr", "127.0.0.1:9000"),
        *("--config", "", "--dir-cache-time", "10ms"),
    ]


def test_a_taken_port_is_named(s3_server: s3.S3Server, tmp_path: Path) -> None:
    port = urlsplit(s3_server.endpoint).port or 0
    with (
        pytest.raises(s3.S3ServerError, match=f"127.0.0.1:{port}: bind: address already in use"),
        s3.S3Server(tmp_path, port),
    ):
        pass


def test_a_missing_rclone_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with (
        pytest.raises(s3.S3ServerError, match=r"rclone is missing: install bigpanda-mlflow\[laptop]"),
        s3.S3Server(tmp_path),
    ):
        pass


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ends a child with its parent")
def test_the_server_does_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from bigpanda_laptop.s3 import S3Server\n"
        "with S3Server(Path(sys.argv[1])) as server: print(server.endpoint, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        address = urlsplit(parent.stdout.readline().strip()).netloc
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while answers(address):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def answers(address: str) -> bool:
    connection = http.client.HTTPConnection(address, timeout=5)
    try:
        connection.request("GET", "/")
        connection.getresponse().read()
    except OSError:
        return False
    finally:
        connection.close()
    return True
