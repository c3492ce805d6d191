"""Lets MLflow's own artifact handlers read from a snapshot's bundle.

MLflow finds this class by the scheme `panda-snapshot:` of a run's artifact URI, through the entry point that this
distribution declares, and makes a new one for every request: the bundle is that of the snapshot which the request sees.
Nothing can be written.
"""

from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import unquote, urlsplit

from mlflow.entities import FileInfo
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED, RESOURCE_DOES_NOT_EXIST, TEMPORARILY_UNAVAILABLE
from mlflow.store.artifact.artifact_repo import ArtifactRepository

from mlflow_on_demand.bundle import Bundle
from mlflow_on_demand.errors import ObjectMissing, OnDemandError
from mlflow_on_demand.served import present


class SnapshotArtifactRepository(ArtifactRepository):  # type: ignore[misc]
    """The artifacts of one run: URI `panda-snapshot:/<jeditaskid>/<run id>/artifacts`."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        # Kept here, for MLflow downloads in threads that know nothing of the request.
        self._served = present()

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        """Files and directories directly under `path`; empty for a file and for what is not there."""
        root = self._prefix()
        prefix = f"{root}{path.strip('/')}/" if path and path.strip("/") else root
        found: dict[str, int | None] = {}
        for name, size in self._sizes().items():
            if name.startswith(prefix):
                child, slash, _ = name.removeprefix(prefix).partition("/")
                found[prefix.removeprefix(root) + child] = None if slash else size
        return [FileInfo(name, size is None, size) for name, size in sorted(found.items())]

    def log_artifact(self, local_file: str, artifact_path: str | None = None) -> NoReturn:  # noqa: ARG002 (MLflow's names)
        """Refused."""
        raise MlflowException("A snapshot cannot be changed.", PERMISSION_DENIED)

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> NoReturn:  # noqa: ARG002 (MLflow's names)
        """Refused."""
        raise MlflowException("A snapshot cannot be changed.", PERMISSION_DENIED)

    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        try:
            with Path(local_path).open("wb") as file:
                self._bundle().copy(self._prefix() + remote_file_path.strip("/"), file)
        except ObjectMissing:
            raise MlflowException(f"There is no artifact '{remote_file_path}'.", RESOURCE_DOES_NOT_EXIST) from None
        except OnDemandError as error:
            raise MlflowException(f"The artifact cannot be read: {error}.", TEMPORARILY_UNAVAILABLE) from None

    def _prefix(self) -> str:
        parts = [unquote(part) for part in urlsplit(self.artifact_uri).path.split("/") if part]
        return "/".join(parts[1:]) + "/"

    def _sizes(self) -> dict[str, int]:
        try:
            return self._bundle().sizes()
        except OnDemandError as error:
            raise MlflowException(f"The artifacts cannot be listed: {error}.", TEMPORARILY_UNAVAILABLE) from None

    def _bundle(self) -> Bundle:
        if self._served is None:
            raise OnDemandError("no snapshot is open in this process")
        return self._served.bundle
