"""What is XRootD's own of its store: URIs, names, credentials, and how it ends when a server does not answer."""

import io
import uuid
from pathlib import Path

import pytest

from mlflow_on_demand import store_xrootd
from mlflow_on_demand.errors import ObjectMissing, PreconditionFailed, StoreError, StoreUnavailable, StoreUriError
from mlflow_on_demand.store_xrootd import XRootDStore
from mlflow_on_demand.stores import open_store, split_uri
from mlflow_on_demand.xrootd_uri import XRootDUri
from support.xrootd_grid import grid_lines
from support.xrootd_kerberos import kerberos
from support.xrootd_security import add_key, keytab_lines, tls_lines
from support.xrootd_server import XRootDServer, ground, serving_xrootd
from support.xrootd_use import FINE, use_elsewhere


@pytest.fixture
def folder(xrootd_server: XRootDServer) -> Path:
    """Where on the server's disk the test's store lies."""
    return xrootd_server.data / uuid.uuid4().hex


@pytest.fixture
def store(xrootd_server: XRootDServer, folder: Path) -> XRootDStore:
    return XRootDStore(xrootd_server.uri(folder.name))


@pytest.mark.parametrize(
    ("uri", "shown", "path"),
    [
        ("root://eosatlas.cern.ch//eos/atlas/x", "root://eosatlas.cern.ch//eos/atlas/x", "/eos/atlas/x"),
        ("root://eosatlas.cern.ch//eos//atlas/x", "root://eosatlas.cern.ch//eos/atlas/x", "/eos/atlas/x"),
        ("root://eosatlas.cern.ch/eos/atlas/x/", "root://eosatlas.cern.ch//eos/atlas/x", "/eos/atlas/x"),
        ("xroots://me@h:1095//eos/a b%20c/ü", "xroots://me@h:1095//eos/a b%20c/ü", "/eos/a b%20c/ü"),
        ("roots://[::1]:1094//eos?xrd.wantprot=krb5&authz=secret", "roots://[::1]:1094//eos", "/eos"),
        ("xroot://h", "xroot://h", "/"),
    ],
)
def test_uris_are_read_as_atlas_writes_them(uri: str, shown: str, path: str) -> None:
    place = XRootDUri.parse(uri)
    assert (open_store(uri).uri, place.path) == (shown, path)
    assert "secret" not in f"{place} {place!r}"
    assert place.at("k/l") == f"{path.rstrip('/')}/k/l"


@pytest.mark.parametrize(
    "uri",
    ["root:/eos/x", "root:///eos/x", "root://:1094//x", "root://u:secret@h//x", "root://h//a/../b", "root://h i//x"],
)
def test_what_is_no_uri(uri: str) -> None:
    with pytest.raises(StoreUriError) as caught:
        open_store(f"{uri}?authz=secret")
    assert "secret" not in str(caught.value)


def test_a_single_file() -> None:
    assert split_uri("root://h//eos/a/1.metrics.0.tgz") == ("root://h//eos/a", "1.metrics.0.tgz")


@pytest.mark.parametrize("key", ["a?b", "a\nb", "../a", "a/../../b", "/a", "a//b", "", "a/."])
def test_names_that_xrootd_cannot_store(store: XRootDStore, folder: Path, key: str) -> None:
    with pytest.raises(StoreError, match="is no key"):
        store.write(key, io.BytesIO(b""))
    assert not folder.exists()


@pytest.mark.parametrize("key", ["a&b=c", "100%20#1", 'it\'s "so"', " lead and trail ", "ü☃", "x" * 250])
def test_names_that_it_can(store: XRootDStore, folder: Path, key: str) -> None:
    store.write(key, io.BytesIO(key.encode()))
    assert [found.key for found in store.list()] == [key]
    assert [path.name for path in folder.iterdir()] == [key]
    assert store.read(key) == key.encode()


def test_checksums_are_the_servers(store: XRootDStore, folder: Path) -> None:
    written = store.write("x", io.BytesIO(b"Wikipedia"))
    assert written.checksum == store.stat("x").checksum == "adler32:11e60398"
    assert next(store.list()).checksum is None


def test_what_is_hidden_is_not_listed(store: XRootDStore, folder: Path) -> None:
    store.write("sub/x", io.BytesIO(b""))
    (folder / "sub").chmod(0o777)
    for name in (".unfinished-1", ".sys.a#.v.upload", ".sys.v#.x/123.456"):
        path = folder / "sub" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    assert [found.key for found in store.list()] == ["sub/x"]
    (unfinished,) = store.list_unfinished()
    assert unfinished.key == "sub/.unfinished-1"
    store.discard_unfinished(unfinished)
    assert list(store.list_unfinished()) == []


def test_the_lock_of_a_writer_that_died_is_taken_over(
    store: XRootDStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_xrootd, "_LOCK_SECONDS", 0.3)
    first = store.write_if("m", b"one", None)
    dead = store._locked(store._path("m"))
    dead.__enter__()
    with pytest.raises(PreconditionFailed):
        store.write_if("m", b"two", None)
    dead = store._locked(store._path("m"))
    dead.__enter__()
    store.write_if("m", b"two", first.etag)
    assert [path.name for path in folder.iterdir()] == ["m"]


def test_a_directory_is_no_object(store: XRootDStore) -> None:
    store.write("sub/x", io.BytesIO(b""))
    for act in (store.stat, store.read):
        with pytest.raises(ObjectMissing):
            act("sub")
    assert list(store.list("sub/x/")) == []
    store.delete("sub/x/y")


@pytest.mark.parametrize("host", ["127.0.0.1:9", "no-such-host.invalid"])
def test_a_host_that_does_not_answer(host: str) -> None:
    said = use_elsewhere(f"root://{host}//eos/x", XRD_CONNECTIONWINDOW="1", XRD_CONNECTIONRETRY="1")
    assert said.startswith(f"StoreUnavailable: XRootD server {host} does not answer for '/eos/x/a/b.txt': ")


def test_names_and_contents_on_two_servers(xrootd_server: XRootDServer) -> None:
    """As on EOS: one server knows the names and sends on; here it is the other that has the contents."""
    same_disk, names = f"oss.localroot {xrootd_server.data.parent}", f"localhost:{xrootd_server.port}"
    with ground() as place, serving_xrootd(place, same_disk, f"xrootd.redirect {names} all") as server:
        assert use_elsewhere(server.uri(uuid.uuid4().hex)) == FINE


def test_a_server_that_goes_away() -> None:
    with ground() as place, serving_xrootd(place) as server:
        store = open_store(server.uri("x"))
        store.write("a", io.BytesIO(b"1"))
    with pytest.raises(StoreUnavailable):
        store.read("a")


def test_tls_with_an_authority_of_our_own() -> None:
    with ground() as place:
        lines = tls_lines(place)
        with serving_xrootd(place, *lines) as server:
            trusted = {"X509_CERT_FILE": str(place.folder / "ca.pem")}
            assert use_elsewhere(server.uri("x", "roots"), **trusted) == FINE
            assert use_elsewhere(server.uri("x", "xroots"), **trusted) == FINE
            stranger = use_elsewhere(server.uri("x", "roots"), X509_CERT_DIR="/etc/ssl/certs")
            assert stranger.startswith("StoreUnavailable")
            assert "X509_CERT_FILE" in stranger


def test_a_shared_secret(tmp_path: Path) -> None:
    ours, wrong = tmp_path / "ours", tmp_path / "wrong"
    with ground() as place:
        lines = keytab_lines(place, ours)
        add_key(wrong)
        with serving_xrootd(place, *lines) as server:
            assert use_elsewhere(server.uri("x"), XrdSecSSSKT=str(ours)) == FINE
            assert "does not accept what XrdSecSSSKT says" in use_elsewhere(server.uri("x"), XrdSecSSSKT=str(wrong))
            nothing = use_elsewhere(server.uri("x"))
            assert nothing.startswith(f"AccessDenied: XRootD server localhost:{server.port} does not allow access to")
            assert nothing.endswith("XrdSecSSSKT is set")


def test_a_proxy_certificate(tmp_path: Path) -> None:
    proxy, ended = tmp_path / "proxy", tmp_path / "ended"
    with ground() as place:
        lines = grid_lines(place, proxy, ended)
        with serving_xrootd(place, *lines) as server:
            authority = {"X509_CERT_DIR": str(place.folder / "certificates")}
            assert use_elsewhere(server.uri("x"), X509_USER_PROXY=str(proxy), **authority) == FINE
            said = use_elsewhere(server.uri("x"), X509_USER_PROXY=str(ended), **authority)
            assert said.startswith("AccessDenied")
            assert said.endswith("it does not accept what X509_USER_PROXY says")


def test_a_kerberos_ticket(tmp_path: Path) -> None:
    with ground() as place, kerberos(place) as realm:
        realm.take_ticket(tmp_path / "ticket")
        with serving_xrootd(place, *realm.lines, **realm.environment) as server:
            ours = {**realm.environment, "KRB5CCNAME": f"FILE:{tmp_path}/ticket"}
            assert use_elsewhere(server.uri("x"), **ours) == FINE
            nothing = {**realm.environment, "KRB5CCNAME": f"FILE:{tmp_path}/none"}
            said = use_elsewhere(server.uri("x"), **nothing)
            assert said.startswith("AccessDenied")
            assert said.endswith("it does not accept what KRB5CCNAME says")
