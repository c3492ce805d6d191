"""MLflow's artifacts on XRootD, such as CERN's EOS: any client or server of MLflow reads and writes `root://…` by it.

MLflow finds this class by the schemes `root`, `roots`, `xroot` and `xroots`, through the entry points that this
distribution declares. The bindings of XRootD are imported only when a repository is made.
"""

import os
import posixpath
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, as_completed
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlflow.entities import FileInfo
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    INTERNAL_ERROR,
    INVALID_PARAMETER_VALUE,
    PERMISSION_DENIED,
    RESOURCE_DOES_NOT_EXIST,
    TEMPORARILY_UNAVAILABLE,
    ErrorCode,
)
from mlflow.store.artifact.artifact_repo import ArtifactRepository, verify_artifact_path

from mlflow_on_demand.errors import (
    AccessDenied,
    ObjectChanged,
    ObjectMissing,
    StoreError,
    StoreUnavailable,
    StoreUriError,
    TransferDamaged,
)
from mlflow_on_demand.store import CHUNK
from mlflow_on_demand.transfer import Patience, open_object, persist
from mlflow_on_demand.xrootd_hosts import ALLOWED_SCHEMES, may_connect
from mlflow_on_demand.xrootd_uri import KeyRefused, XRootDUri

if TYPE_CHECKING:
    from mlflow_on_demand.xrootd_client import Entry, XRootDClient

# Reads go on by themselves, and connections are made again by the bindings: this is for what is left.
_PASSING = (StoreUnavailable, ObjectChanged, TransferDamaged)
_ONCE_MORE = Patience(attempts=2)
_INSTALL = "MLflow on XRootD needs the package xrootd: pip install 'bigpanda-mlflow[xrootd]'"


class XRootDArtifactRepository(ArtifactRepository):  # type: ignore[misc]
    """The artifacts below one URI: a file is seen whole or not at all, and its checksum is compared both ways."""

    def __init__(self, artifact_uri: str, *arguments: Any, **more: Any) -> None:
        super().__init__(artifact_uri, *arguments, **more)
        with _told():
            self._place = XRootDUri.parse(artifact_uri)
        if not may_connect(self._place, os.environ):
            raise MlflowException(
                f"This tracking server does not connect to {self._place.server}, no host of its own artifacts."
                f" Whoever runs it allows others by {ALLOWED_SCHEMES}={self._place.scheme}.",
                INVALID_PARAMETER_VALUE,
            )
        self._client = _make_client(self._place)

    def __repr__(self) -> str:
        """Without what follows the URI's `?`, which may be a token."""
        return f"{type(self).__name__}(artifact_uri={str(self._place)!r})"

    @property
    def max_workers(self) -> int:
        """Its threads wait for a server, not for a core: there may be more of them than MLflow allows by itself."""
        return 16

    def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
        """Upload a file into the directory `artifact_path`; what was there under its name is replaced."""
        verify_artifact_path(artifact_path)
        local = Path(local_file)
        self._upload(local, self._path(posixpath.join(_given(artifact_path), local.name)))

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
        """Upload all that is in a directory, empty directories too, many files at once."""
        verify_artifact_path(artifact_path)
        root = Path(local_dir).resolve()
        if not root.is_dir():
            raise MlflowException(f"There is no directory '{local_dir}'.", INVALID_PARAMETER_VALUE)
        uploads = []
        for folder, folders, files in os.walk(root):
            inside = posixpath.join(_given(artifact_path), *Path(folder).relative_to(root).parts)
            uploads += [
                partial(self._upload, Path(folder, name), self._path(posixpath.join(inside, name))) for name in files
            ]
            if not folders and not files:
                uploads.append(partial(self._make_directory, self._path(inside)))
        self._at_once(uploads, "uploading artifacts to")

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        """Files and directories directly under `path`; empty for a file and for what is not there."""
        above = _given(path)
        with _told():
            try:
                entries = self._client.entries(self._path(above))
            except ObjectMissing:
                return []
        return sorted((_info(above, entry) for entry in entries), key=lambda info: info.path)

    def delete_artifacts(self, artifact_path: str | None = None) -> None:
        """Remove a file, or a directory with all that is in it; it is no error if nothing is there."""
        path = self._path(_given(artifact_path))
        with _told():
            try:
                is_directory = self._client.stat(path).is_directory
            except ObjectMissing:
                return
            if not is_directory:
                self._client.remove(path)
                return
            found = list(self._client.walk(path, unfinished=True))
        self._at_once(
            [partial(self._client.remove, f"{path}/{name}") for name, entry in found if not entry.is_directory],
            "deleting artifacts from",
        )
        with _told():
            for name in sorted((name for name, entry in found if entry.is_directory), reverse=True):
                self._client.remove_directory(f"{path}/{name}")
            self._client.remove_directory(path)

    def _is_directory(self, artifact_path: str | None) -> bool:
        with _told(), suppress(ObjectMissing):
            return self._client.stat(self._path(_given(artifact_path))).is_directory
        return False

    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        path, local = self._path(_given(remote_file_path)), Path(local_path)

        def download() -> None:
            with open_object(path, partial(self._client.fetch, path)) as source, local.open("wb") as target:
                shutil.copyfileobj(source, target, CHUNK)

        try:
            with _told():
                persist(download, _PASSING, _ONCE_MORE)
        except BaseException:
            local.unlink(missing_ok=True)
            raise

    def _upload(self, local_file: Path, path: str) -> None:
        def upload() -> None:
            with local_file.open("rb") as source:
                self._client.replace(path, source)

        with _told():
            persist(upload, _PASSING, _ONCE_MORE)

    def _make_directory(self, path: str) -> None:
        with _told():
            self._client.make_directory(path)

    def _at_once(self, actions: Iterable[partial[None]], doing: str) -> None:
        """Do all of them, and say of all that failed why."""
        futures: list[Future[None]] = [self.thread_pool.submit(action) for action in actions]
        failures = [error for future in as_completed(futures) if (error := future.exception())]
        if failures:
            reasons = "\n".join(sorted({str(error) for error in failures}))
            raise MlflowException(
                f"{len(failures)} of {len(futures)} failed while {doing} {self._place}:\n{reasons[:10_000]}",
                error_code=_common_code(failures),
            )

    def _path(self, artifact_path: str) -> str:
        with _told():
            return self._place.at(artifact_path)


def _make_client(place: XRootDUri) -> "XRootDClient":
    try:
        from mlflow_on_demand.xrootd_client import XRootDClient
    except ImportError as error:
        if not (error.name or "").startswith(("XRootD", "pyxrootd")):
            raise
        raise MlflowException(_INSTALL, INVALID_PARAMETER_VALUE) from None
    return XRootDClient(place)


def _given(path: str | None) -> str:
    """A path of MLflow's as a key: without slashes at its end, "" for the root."""
    normal = posixpath.normpath(path) if path else "."
    return "" if normal == "." else normal


def _info(above: str, entry: "Entry") -> FileInfo:
    return FileInfo(posixpath.join(above, entry.name), entry.is_directory, None if entry.is_directory else entry.size)


def _code_of(error: StoreError) -> int:
    if isinstance(error, ObjectMissing):
        return int(RESOURCE_DOES_NOT_EXIST)
    if isinstance(error, AccessDenied):
        return int(PERMISSION_DENIED)
    return int(TEMPORARILY_UNAVAILABLE if error.transient else INTERNAL_ERROR)


def _common_code(failures: list[BaseException]) -> int:
    codes = {error.error_code if isinstance(error, MlflowException) else "" for error in failures}
    return int(ErrorCode.Value(codes.pop())) if len(codes) == 1 and "" not in codes else int(INTERNAL_ERROR)


@contextmanager
def _told() -> Iterator[None]:
    """Errors of stores as MLflow tells errors: its REST API makes a status of each code."""
    try:
        yield
    except (StoreUriError, KeyRefused) as error:
        raise MlflowException(f"{error}.", INVALID_PARAMETER_VALUE) from None
    except StoreError as error:
        raise MlflowException(f"{error}.", _code_of(error)) from None
