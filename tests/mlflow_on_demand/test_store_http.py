"""What HTTP has beside the contract: TLS, tokens, redirects and their check, servers that can do less."""

import datetime as dt
import http.server
import io
import uuid
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from urllib.parse import SplitResult

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from mlflow_on_demand.errors import (
    AccessDenied,
    ObjectMissing,
    StoreError,
    StoreUnavailable,
    StoreUriError,
)
from mlflow_on_demand.http_client import HttpClient
from mlflow_on_demand.ingest import IngestRequest, ingest_task
from mlflow_on_demand.snapshot import MANIFEST, download_database, open_snapshot_store, parse_manifest
from mlflow_on_demand.store_http import HttpStore
from mlflow_on_demand.stores import open_store
from support.answering import answering
from support.faulty_http import Fault, faulty_http
from support.hpo_files import TASK, Point, name, run_id, tarball, write_task
from support.http_servers import Apache


@pytest.fixture
def tls(apache: Apache, monkeypatch: pytest.MonkeyPatch) -> Apache:
    """Apache, trusted, and our token found."""
    monkeypatch.setenv("SSL_CERT_FILE", str(apache.authorities))
    monkeypatch.setenv("BEARER_TOKEN", apache.token)
    (apache.folder / "plain" / "x").write_bytes(b"content")
    return apache


def test_davs_with_a_token(tls: Apache) -> None:
    store = open_store(f"{tls.tls.replace('https', 'davs')}/dav/{uuid.uuid4().hex}")
    written = store.write("a/b", io.BytesIO(b"content"))
    assert store.read("a/b") == b"content"
    assert [found.etag for found in store.list()] == [written.etag]
    assert open_store(f"{tls.tls}/secret").read("x") == b"content"


def test_a_token_that_is_refused_or_missing(tls: Apache, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(f"{tls.tls}/secret")
    monkeypatch.setenv("BEARER_TOKEN", "expired-token")
    with pytest.raises(
        AccessDenied, match=r"localhost denies access to 'x' \(403; the bearer token was sent\)"
    ) as caught:
        store.read("x")
    assert "expired-token" not in str(caught.value)
    monkeypatch.setenv("BEARER_TOKEN", tls.token)
    assert store.read("x") == b"content"
    monkeypatch.delenv("BEARER_TOKEN")
    with pytest.raises(AccessDenied, match="no bearer token was sent"):
        store.read("x")


def test_a_token_is_not_sent_without_encryption(tls: Apache) -> None:
    with faulty_http(tls.plain) as proxy:
        assert open_store(proxy.address).read("x") == b"content"
        assert [headers for _, _, headers in proxy.seen if "Authorization" in headers] == []


def test_a_server_that_nobody_vouches_for(apache: Apache) -> None:
    with pytest.raises(StoreError, match="no secure connection to localhost: unable to get local issuer") as caught:
        open_store(f"{apache.tls}/plain").read("x")
    assert not caught.value.transient


def write_proxy(path: Path, name: str) -> None:
    """A certificate and its key in one file, as grid tools write them."""
    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    dated = builder.not_valid_before(now - dt.timedelta(hours=1)).not_valid_after(now + dt.timedelta(hours=1))
    certificate = dated.serial_number(x509.random_serial_number()).sign(key, hashes.SHA256())
    plain = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(certificate.public_bytes(Encoding.PEM) + plain)


def test_a_client_certificate_that_is_renewed(tls: Apache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = tmp_path / "x509up_u1000"
    write_proxy(proxy, "somebody")
    monkeypatch.setenv("X509_USER_PROXY", str(proxy))
    store = open_store(f"{tls.tls}/certified")
    with pytest.raises(AccessDenied):
        store.read("x")
    write_proxy(proxy, "tester")
    assert store.read("x") == b"content"


def test_a_client_certificate_that_cannot_be_used(tls: Apache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X509_USER_PROXY", "/nowhere/x509up_u1000")
    with pytest.raises(AccessDenied, match="certificate '/nowhere/x509up_u1000' or its key cannot be used"):
        open_store(f"{tls.tls}/plain").read("x")


def test_redirects_are_shown_to_the_check(tls: Apache) -> None:
    seen: list[str] = []

    def check(address: SplitResult) -> str:
        seen.append(f"{address.hostname}{address.path}")
        if address.hostname == "127.0.0.1":
            raise AccessDenied("127.0.0.1 is none of ours")
        return "127.0.0.1"  # that the certificate is for `localhost` is looked at all the same

    key = uuid.uuid4().hex
    (tls.folder / "dav" / key).write_bytes(b"content")
    assert HttpStore(f"{tls.tls}/moved", check).read(key) == b"content"
    assert seen == [f"localhost/moved/{key}", f"localhost/dav/{key}"]
    with pytest.raises(AccessDenied, match="none of ours"):
        HttpStore(f"{tls.tls}/elsewhere", check).read("x")


def test_a_redirect_is_followed_with_what_is_written(tls: Apache) -> None:
    store, key = open_store(f"{tls.tls}/moved"), uuid.uuid4().hex
    length = {"Content-Length": "7"}
    with closing(HttpClient().ask("PUT", f"{store.uri}/{key}", length, io.BytesIO(b"content"))) as answer:
        assert answer.status == 201
    assert store.read(key) == b"content"


def test_a_token_does_not_follow_to_another_host(tls: Apache) -> None:
    assert open_store(f"{tls.tls}/elsewhere").read("x") == b"content"  # which refuses who sends one
    with pytest.raises(AccessDenied):
        open_store(f"{tls.tls}/plain").read("x")


def test_a_redirect_must_not_take_the_encryption_away(tls: Apache) -> None:
    with pytest.raises(StoreError, match="localhost sends us on to localhost without encryption"):
        open_store(f"{tls.tls}/unencrypted").read("x")


def test_a_server_without_webdav_gives_single_objects(apache: Apache) -> None:
    (apache.folder / "plain" / "y z").write_bytes(b"0123456789")
    store = open_store(apache.plain)
    assert (store.read("y z", 2, 3), store.stat("y z").size) == (b"234", 10)
    assert store.stat("y z").checksum == "md5:781e5e245d69b566979b86e28d23f2c7"
    with pytest.raises(
        StoreError, match=r"127\.0\.0\.1 cannot be listed, for it does not speak WebDAV: name single files"
    ):
        list(store.list())
    with pytest.raises(StoreError, match="405"):
        store.write("y z", io.BytesIO(b""))


class WithoutSizes(http.server.SimpleHTTPRequestHandler):
    """A server that knows no ranges, no etags and, of what it makes itself, no size."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path != "/made":
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in (b"01234", b"56789", b""):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))

    def log_message(self, *_: object) -> None:
        """Nothing: pytest shows what failed."""


@pytest.fixture
def simple(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "x").write_bytes(b"0123456789" * 100)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(WithoutSizes, directory=str(tmp_path)))
    server.block_on_close = False
    with answering(server):
        yield f"http://127.0.0.1:{server.server_port}"


def test_a_server_without_ranges(simple: str) -> None:
    with faulty_http(simple) as proxy:
        store = open_store(proxy.address)
        assert store.read("x", 990, 5) == b"01234"
        proxy.expect(Fault(cut=500))
        assert store.read("x") == b"0123456789" * 100
        assert proxy.count("GET") == 2


def test_an_object_whose_size_is_not_told(simple: str) -> None:
    store = open_store(simple)
    assert store.read("made") == b"0123456789"
    with store.open("made") as stream:
        assert [stream.read(4), stream.read(), stream.read()] == [b"0123", b"456789", b""]


@pytest.mark.parametrize("status", [405, 501])
def test_a_server_that_cannot_move_is_written_to_directly(rclone_webdav: str, status: int) -> None:
    with faulty_http(rclone_webdav) as proxy:
        store = open_store(f"{proxy.address}/{uuid.uuid4().hex}")
        proxy.expect(Fault(status=status, method="MOVE"))
        store.write("a", io.BytesIO(b"one"))
        store.write("a", io.BytesIO(b"two"))
        assert (store.read("a"), proxy.count("MOVE")) == (b"two", 1)
        assert [found.key for found in store.list()] == ["a"]


def test_a_folder_is_not_deleted(apache: Apache) -> None:
    store = open_store(f"{apache.dav}/{uuid.uuid4().hex}")
    store.write("folder/x", io.BytesIO(b""))
    store.delete("folder")
    assert [found.key for found in store.list()] == ["folder/x"]
    with pytest.raises(ObjectMissing):
        store.read("y")


def test_a_server_that_does_not_answer() -> None:
    with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1 does not answer \(NewConnectionError\)"):
        open_store("http://127.0.0.1:9/x").read("y")


@pytest.mark.parametrize("uri", ["https://me:secret@host/x", "https://host/x?token=secret", "https://host/x#y"])
def test_an_address_with_more_than_a_path_is_refused(uri: str) -> None:
    with pytest.raises(StoreUriError) as caught:
        open_store(uri)
    assert "secret" not in str(caught.value)


def test_authorities_that_cannot_be_read(apache: Apache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
    with pytest.raises(StoreError, match=r"the authorities that .*REQUESTS_CA_BUNDLE.* cannot be read"):
        open_store(apache.tls).read("x")


def test_a_snapshot_lies_on_webdav(tls: Apache, tmp_path: Path) -> None:
    artifacts = write_task(tmp_path, {name(1): tarball(Point(run_id(1)))})
    request = IngestRequest(TASK, (artifacts,), f"{tls.tls.replace('https', 'davs')}/dav/{uuid.uuid4().hex}")
    published = ingest_task(request)
    assert (published.changed, published.manifest.runs) == (True, 1)
    assert not ingest_task(request).changed
    write_task(tmp_path, {name(2): tarball(Point(run_id(2)))})
    assert ingest_task(request).manifest.runs == 2
    store = open_snapshot_store(request.snapshot_store, TASK, published.manifest.schema_revision)
    download_database(store, parse_manifest(store.read(MANIFEST)), tmp_path / "database")
    assert (tmp_path / "database").read_bytes().startswith(b"SQLite format 3")
