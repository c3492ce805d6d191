"""Keys of S3 that rotate while others go on: a real server that takes the new ones only, and what is said when not."""

import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from bigpanda_laptop.s3 import S3Server
from mlflow_on_demand.errors import AccessDenied
from mlflow_on_demand.ingest import IngestRequest, ingest_task
from mlflow_on_demand.s3_keys import KEYS_FILE, Keys, find_keys, tell_refusal
from mlflow_on_demand.store import Store
from mlflow_on_demand.store_s3 import S3Store
from mlflow_on_demand.stores import open_store
from support.hpo_files import TASK, Point, name, run_id, tarball, write_task
from support.serving import free_port
from support.task_server import serving

KEY = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


class Rotation:
    """An S3 server at one address whose keys change, and the file that a mounted Secret would be."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file, self.port = folder / "buckets", folder / "aws", free_port()
        (self.folder / "panda").mkdir(parents=True)

    @contextmanager
    def serving(self) -> Iterator[S3Server]:
        """The server with keys that there were never before; the file has those of the time before."""
        with S3Server(self.folder, self.port) as server:
            yield server

    def tell(self, server: S3Server) -> None:
        """Put the server's keys into the file, as the kubelet does: another file in its place."""
        key, secret = (server.environment[one] for one in KEY)
        new = self.file.with_suffix(".new")
        new.write_text(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n")
        new.replace(self.file)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{self.port}",
            KEYS_FILE: str(self.file),
            "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
        }


@pytest.fixture
def rotation(tmp_path: Path, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Rotation:
    """Needs what `s3_server` needs."""
    found = Rotation(tmp_path)
    for variable in (*KEY, "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in found.environment.items():
        monkeypatch.setenv(variable, value)
    return found


@pytest.mark.parametrize("opened", [open_store, lambda uri: S3Store(uri.removeprefix("s3://"), "")])
def test_a_store_that_is_open_goes_on_with_the_new_keys(rotation: Rotation, opened: Callable[[str], Store]) -> None:
    with rotation.serving() as server:
        rotation.tell(server)
        store = opened("s3://panda")
        store.write("a", io.BytesIO(b"content"))
        assert store.read("a") == b"content"
    with rotation.serving() as server:
        with pytest.raises(AccessDenied, match=f"the keys in the file of {KEYS_FILE}|the access key of") as caught:
            store.read("a")
        assert not any(secret in str(caught.value) for secret in rotation.file.read_text().split()[2:])
        rotation.tell(server)
        assert store.read("a") == b"content"
        store.write("b", io.BytesIO(b"more"))
        assert [found.key for found in store.list()] == ["a", "b"]


def test_what_has_read_by_itself_reads_on_by_itself(rotation: Rotation) -> None:
    """The light reader, which has no boto3 yet when the keys change."""
    (rotation.folder / "panda" / "a").write_bytes(b"content")
    with rotation.serving() as server:
        rotation.tell(server)
        store = open_store("s3://panda")
        assert store.read("a") == b"content"
    with rotation.serving() as server:
        rotation.tell(server)
        assert store.read("a") == b"content"
        assert "_full" not in vars(store)


def test_an_ingest_and_an_awake_page_outlive_their_keys(rotation: Rotation, tmp_path: Path) -> None:
    request = IngestRequest(TASK, ("s3://panda/hpo/",), "s3://panda/snapshots")
    folder = rotation.folder / "panda" / "hpo"
    write_task(folder, {name(1): tarball(Point(run_id(1)))})
    with ExitStack() as before:
        rotation.tell(before.enter_context(rotation.serving()))
        ingest_task(request)
        with serving("s3://panda/snapshots", str(tmp_path)) as page:
            page.wait_for("ready")
            before.close()
            with rotation.serving() as server:
                rotation.tell(server)
                write_task(folder, {name(2): tarball(Point(run_id(2)))})
                digest = ingest_task(request).manifest.digest
                page.until(lambda: page.ask("GET", "/health").json().get("snapshot") == digest)
            assert page.end() == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read"),
        ("no ini file", "which is no file of profiles and keys"),
        ("", "has no profile 'default'"),
        ("[default]\naws_access_key_id = TELLTALE\n", "lacks a key or its secret"),
        ("[default]\naws_access_key_id = TELLTALE\naws_access_key_id = TELLTALE\n", "no file of profiles"),
    ],
)
def test_a_file_without_keys_is_told_by_name_and_never_by_content(
    rotation: Rotation, content: str | None, said: str
) -> None:
    if content is not None:
        rotation.file.write_text(content)
    readers: list[Callable[[], bytes]] = [
        lambda: open_store("s3://panda").read("a"),
        lambda: S3Store("panda", "").read("a"),
    ]
    for read in readers:
        with pytest.raises(AccessDenied, match=said) as caught:
            read()
        assert str(rotation.file) in str(caught.value)
        assert "TELLTALE" not in str(caught.value)


def test_where_keys_are_found(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(
        "[default]\naws_access_key_id=A\naws_secret_access_key=b%c\n"
        "[temporary]\naws_access_key_id=T\naws_secret_access_key=s\naws_session_token=t\n"
        "[other]\ncredential_process=/bin/true\n"
    )
    env = {KEYS_FILE: str(file)}
    assert find_keys(env) == Keys("A", "b%c", "")
    assert find_keys({**env, "AWS_PROFILE": "temporary"}) == Keys("T", "s", "t")
    assert find_keys({**env, "AWS_PROFILE": "other"}) is None  # boto3's to do
    assert find_keys({**env, KEY[0]: "E", KEY[1]: "e"}) == Keys("E", "e", "")
    assert find_keys({**env, KEY[0]: "", KEY[1]: ""}) == Keys("A", "b%c", "")
    assert find_keys({**env, KEY[0]: "E"}) is None
    assert find_keys({}) is None
    assert "b%c" not in repr(find_keys(env))


@pytest.mark.parametrize(
    ("code", "env", "said"),
    [
        ("ExpiredToken", {KEYS_FILE: "/x"}, f"the session token of the keys in the file of {KEYS_FILE} has expired"),
        (
            "InvalidAccessKeyId",
            {KEY[0]: "A", KEY[1]: "s"},
            f"the access key of the keys in {KEY[0]} is none that it knows",
        ),
        ("SignatureDoesNotMatch", {}, "the secret key of the keys that boto3 found is not the one of its access key"),
        ("403", {KEY[0]: "A", KEY[1]: "s"}, f"denies access to 'k' with the keys in {KEY[0]}"),
    ],
)
def test_a_refusal_says_which_keys_and_why(code: str, env: dict[str, str], said: str) -> None:
    told = tell_refusal(code, "'k'", env)
    assert said in told
    assert "'A'" not in told
