"""The artifact repository on a real XRootD server: what MLflow's own tests ask of each of its repositories."""

import sys
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from mlflow.entities import FileInfo
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from mlflow_on_demand.xrootd_artifacts import XRootDArtifactRepository
from support.xrootd_server import XRootDServer

Tree = dict[str, bytes | None]  # None: an empty directory


@pytest.fixture
def root(xrootd_server: XRootDServer) -> Path:
    """Where on the server's disk the artifacts of the test lie; nothing is there yet."""
    return xrootd_server.data / "artifacts" / uuid.uuid4().hex


@pytest.fixture
def repository(xrootd_server: XRootDServer, root: Path) -> ArtifactRepository:
    return get_artifact_repository(xrootd_server.uri(root.relative_to(xrootd_server.data).as_posix()))


def make(folder: Path, tree: Tree) -> Path:
    for name, content in tree.items():
        path = folder / name
        (path if content is None else path.parent).mkdir(parents=True, exist_ok=True)
        if content is not None:
            path.write_bytes(content)
    return folder


def tree_of(folder: Path) -> Tree:
    found: Tree = {}
    for path in folder.rglob("*"):
        if path.is_file():
            found[path.relative_to(folder).as_posix()] = path.read_bytes()
        elif not any(path.iterdir()):
            found[path.relative_to(folder).as_posix()] = None
    return found


TREE: Tree = {
    "a.txt": b"A",
    "nested/b.txt": b"B",
    "nested/deep/er/c d.bin": bytes(range(256)) * 9000,  # 2.3 MB: more than one piece
    "büro ☃/100% #1 & more.txt": b"\xff\x00",
    "empty.txt": b"",
    "hollow": None,
    "nested/hollow too": None,
}


@pytest.mark.parametrize("scheme", ["root", "roots", "xroot", "xroots"])
def test_mlflow_finds_it_by_each_scheme(scheme: str) -> None:
    repository = get_artifact_repository(f"{scheme}://eosatlas.cern.ch//eos/atlas/x")
    assert isinstance(repository, XRootDArtifactRepository)
    assert repository.artifact_uri == f"{scheme}://eosatlas.cern.ch//eos/atlas/x"


@pytest.mark.parametrize("inside", [None, "some", "some/place"])
def test_a_file(repository: ArtifactRepository, root: Path, tmp_path: Path, inside: str | None) -> None:
    make(tmp_path, {"one.txt": b"hello"})
    repository.log_artifact(str(tmp_path / "one.txt"), inside)
    name = f"{inside}/one.txt" if inside else "one.txt"
    assert tree_of(root) == {name: b"hello"}
    assert repository.list_artifacts(inside) == [FileInfo(name, False, 5)]
    assert Path(repository.download_artifacts(name)).read_bytes() == b"hello"


@pytest.mark.parametrize("inside", [None, "some/place"])
def test_a_directory(repository: ArtifactRepository, root: Path, tmp_path: Path, inside: str | None) -> None:
    repository.log_artifacts(str(make(tmp_path / "from", TREE)), inside)
    assert tree_of(root / (inside or "")) == TREE
    (tmp_path / "to").mkdir()
    for path in (inside or "", f"{inside or ''}/"):
        got = Path(repository.download_artifacts(path.lstrip("/"), str(tmp_path / "to")))
        assert tree_of(got) == TREE


def test_lists_show_what_lies_directly_in_a_directory(repository: ArtifactRepository, tmp_path: Path) -> None:
    repository.log_artifacts(str(make(tmp_path, TREE)))
    top = [
        FileInfo("a.txt", False, 1),
        FileInfo("büro ☃", True, None),
        FileInfo("empty.txt", False, 0),
        FileInfo("hollow", True, None),
        FileInfo("nested", True, None),
    ]
    nested = [
        FileInfo("nested/b.txt", False, 1),
        FileInfo("nested/deep", True, None),
        FileInfo("nested/hollow too", True, None),
    ]
    assert [repository.list_artifacts(path) for path in (None, "", ".", "nested/..")] == [top] * 4
    assert [repository.list_artifacts(path) for path in ("nested", "nested/", "./nested")] == [nested] * 3
    assert [repository.list_artifacts(path) for path in ("hollow", "a.txt", "a.txt/x", "none", "none/x")] == [[]] * 5


def test_nothing_was_logged_yet(repository: ArtifactRepository, tmp_path: Path) -> None:
    assert repository.list_artifacts() == []
    assert Path(repository.download_artifacts("", str(tmp_path))) == tmp_path
    repository.delete_artifacts()
    repository.delete_artifacts("none")


def test_one_directory_is_downloaded_below_its_own_path(repository: ArtifactRepository, tmp_path: Path) -> None:
    repository.log_artifacts(str(make(tmp_path / "from", TREE)))
    (tmp_path / "to").mkdir()
    got = Path(repository.download_artifacts("nested/deep", str(tmp_path / "to")))
    assert got == tmp_path / "to" / "nested" / "deep"
    assert list(tree_of(tmp_path / "to")) == ["nested/deep/er/c d.bin"]
    assert tree_of(Path(repository.download_artifacts("hollow"))) == {}


def test_what_is_logged_again_replaces(repository: ArtifactRepository, root: Path, tmp_path: Path) -> None:
    for content in (b"a long first one", b"second"):
        repository.log_artifact(str(make(tmp_path, {"x": content}) / "x"))
    repository.log_artifacts(str(make(tmp_path, {"y": b"y"})))
    assert tree_of(root) == {"x": b"second", "y": b"y"}


@pytest.mark.parametrize("path", ["none", "none/deeper", "a.txt/deeper", "nested/none"])
def test_what_is_missing_is_named(repository: ArtifactRepository, tmp_path: Path, path: str) -> None:
    repository.log_artifacts(str(make(tmp_path / "from", TREE)))
    (tmp_path / "to").mkdir()
    with pytest.raises(MlflowException, match=path) as caught:
        repository.download_artifacts(path, str(tmp_path / "to"))
    assert caught.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    assert [name for name, content in tree_of(tmp_path / "to").items() if content is not None] == []


@pytest.mark.parametrize("path", ["../outside", "nested/../../outside", "/etc/passwd", "what?", "a\nb"])
def test_no_path_leads_out(repository: ArtifactRepository, root: Path, tmp_path: Path, path: str) -> None:
    make(root.parent, {"outside/x": b"kept"})
    (tmp_path / "x").write_bytes(b"")
    acts: list[Callable[[], object]] = [
        lambda: repository.log_artifact(str(tmp_path / "x"), path),
        lambda: repository.log_artifacts(str(tmp_path), path),
        lambda: repository.list_artifacts(path),
        lambda: repository.download_artifacts(path),
        lambda: repository.delete_artifacts(path),
    ]
    for act in acts:
        with pytest.raises(MlflowException, match=r"(?i)invalid|no key"):
            act()
    assert (root.parent / "outside" / "x").read_bytes() == b"kept"
    assert not root.exists()


def test_what_cannot_be_read_here_is_said(repository: ArtifactRepository, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="none"):
        repository.log_artifact(str(tmp_path / "none"))
    with pytest.raises(MlflowException, match="There is no directory"):
        repository.log_artifacts(str(tmp_path / "none"))
    with pytest.raises(MlflowException, match="destination path"):
        repository.download_artifacts("", str(tmp_path / "none"))


def test_delete(repository: ArtifactRepository, root: Path, tmp_path: Path) -> None:
    repository.log_artifacts(str(make(tmp_path, TREE)))
    make(root, {"nested/deep/.unfinished-of-one-that-crashed": b""})
    repository.delete_artifacts("a.txt")
    repository.delete_artifacts("nested")
    left: Tree = {name: content for name, content in TREE.items() if name != "a.txt" and not name.startswith("nested")}
    assert tree_of(root) == left
    repository.delete_artifacts()
    assert not root.exists()


def test_all_that_fails_is_told(repository: ArtifactRepository, root: Path, tmp_path: Path) -> None:
    repository.log_artifacts(str(make(tmp_path / "before", {"x": None, "y": None})), "taken")
    with pytest.raises(MlflowException, match="2 of 3 failed while uploading") as caught:
        repository.log_artifacts(str(make(tmp_path / "from", {"x": b"", "y": b"", "z": b"fine"})), "taken")
    assert "taken/x" in str(caught.value)
    assert tree_of(root) == {"taken/x": None, "taken/y": None, "taken/z": b"fine"}


def test_many_at_once(repository: ArtifactRepository, root: Path, tmp_path: Path) -> None:
    many: Tree = {f"{number % 7}/{number}.json": str(number).encode() for number in range(300)}
    repository.log_artifacts(str(make(tmp_path / "from", many)))
    assert tree_of(root) == many
    assert tree_of(Path(repository.download_artifacts(""))) == many
    with ThreadPoolExecutor(8) as pool:
        listed = list(pool.map(repository.list_artifacts, [str(number) for number in range(7)] * 4))
    assert sum(map(len, listed)) == 4 * len(many)


def test_what_follows_the_question_mark_is_sent_and_never_shown(xrootd_server: XRootDServer, tmp_path: Path) -> None:
    uri = f"{xrootd_server.uri(uuid.uuid4().hex)}?authz=Bearer%20secret-token"
    repository = get_artifact_repository(uri)
    repository.log_artifact(str(make(tmp_path, {"x": b"1"}) / "x"))
    assert [info.path for info in repository.list_artifacts()] == ["x"]
    with pytest.raises(MlflowException) as caught:
        repository.download_artifacts("none")
    assert "secret" not in f"{caught.value} {repository!r}".replace(uri, "")


@pytest.mark.parametrize(
    "uri", ["root:///eos/x", "root://user:pass-word@host//eos", "root://host//eos/../etc", "root://:1//x"]
)
def test_a_uri_that_is_none(uri: str) -> None:
    with pytest.raises(MlflowException) as caught:
        get_artifact_repository(uri)
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"
    assert "pass-word" not in str(caught.value)


def test_without_the_bindings_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "mlflow_on_demand.xrootd_client", raising=False)
    monkeypatch.setitem(sys.modules, "XRootD", None)
    with pytest.raises(MlflowException, match="pip install 'bigpanda-mlflow"):
        get_artifact_repository("root://host//eos/x")


@pytest.mark.parametrize(
    ("environment", "allowed"),
    [
        ({}, True),
        ({"_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/"}, False),
        ({"_MLFLOW_SERVER_ARTIFACT_ROOT": "root://other//eos/x"}, False),
        ({"_MLFLOW_SERVER_ARTIFACT_ROOT": "roots://Host:1094//eos/y"}, True),
        ({"_MLFLOW_SERVER_ARTIFACT_ROOT": "x", "_MLFLOW_SERVER_ARTIFACT_DESTINATION": "root://host//eos"}, True),
        ({"_MLFLOW_SERVER_ARTIFACT_ROOT": "x", "MLFLOW_ALLOWED_HOST_ADDRESSED_ARTIFACT_SCHEMES": "ftp, ROOT"}, True),
    ],
)
def test_a_server_shows_its_credentials_to_its_own_hosts(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], allowed: bool
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    if allowed:
        get_artifact_repository("root://host//eos/x")
        return
    with pytest.raises(MlflowException, match="does not connect to host"):
        get_artifact_repository("root://host//eos/x")
