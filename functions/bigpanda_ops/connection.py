"""From a command line and its environment to the platform: cluster, its settings, its stores, its front door.

Each is opened at its first use, so a command needs no more than it says. A `make run` in the folder where one stands is
found without any option, where there is no kubeconfig of one's own.
"""

import base64
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigpanda_mlflow.errors import FunctionError
from bigpanda_ops.outcomes import Misused, Unreachable

if TYPE_CHECKING:
    from bigpanda_mlflow.cluster_reading import ClusterReader
    from bigpanda_mlflow.settings import Settings

TOKEN = "BIGPANDA_TOKEN"  # noqa: S105 (the name of a variable)
_LAPTOP = Path(".state/knative/kubeconfig")
_LAPTOP_TOKEN = "ops-token"  # noqa: S105 (the name of a file)
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_KEY = "AWS_ACCESS_KEY_ID"


@dataclass(frozen=True)
class Options:
    """What the command line says of the platform; None: found out."""

    kubeconfig: Path | None = None
    context: str | None = None
    namespace: str | None = None
    front: str | None = None
    token_file: Path | None = None


class Connection:
    """The platform, as far as it is asked for."""

    def __init__(self, options: Options, environment: Mapping[str, str] = os.environ) -> None:
        self._options = options
        self._environment = environment

    @cached_property
    def cluster(self) -> "ClusterReader":
        """The cluster. Raises Unreachable without a usable kubeconfig."""
        from bigpanda_mlflow.cluster_reading import open_reader

        with reaching():
            return open_reader(self._kubeconfig(), self._options.context, self._options.namespace)

    def close(self) -> None:
        """Let go of what was opened."""
        if "cluster" in vars(self):
            self.cluster.close()

    @cached_property
    def settings(self) -> "Settings":
        """The settings of the deployment, as its own function `visualize` gets them. Raises Unreachable."""
        from bigpanda_mlflow.settings import Settings, SettingsError

        found: dict[str, str] = {}
        with reaching():
            for name in self._sources("visualize", "configMapRef"):
                found |= self.cluster.get_config_map(name)
        try:
            return Settings.from_environment({**found, "BIGPANDA_NAMESPACE": self.cluster.namespace})
        except SettingsError as error:
            raise Unreachable(f"the deployment's settings do not hold: {error}") from None

    @cached_property
    def snapshot_store(self) -> str:
        """The URI under which snapshots are; afterwards stores can be opened.

        Where this process has no S3 credentials of its own, it takes those of the function `ingest`.
        """
        if not self._environment.get(_KEY):
            with reaching():
                for name in self._sources("ingest", "secretRef"):
                    secret = self.cluster.get_secret(name)
                    os.environ.update({key: base64.b64decode(value).decode() for key, value in secret.items()})
        return self.settings.snapshot_store

    @cached_property
    def front(self) -> str:
        """The address of the front door."""
        if self._options.front:
            return self._options.front.rstrip("/")
        with reaching():
            found = self._function("front")
        url = found.get("status", {}).get("url")
        if not url:
            raise Unreachable("the front door is not ready: kubectl describe ksvc front says why")
        return str(url)

    @cached_property
    def token(self) -> str:
        """The bearer token for the front door. Raises Misused where there is none."""
        file = self._options.token_file or self._laptop_token()
        given = self._environment.get(TOKEN, "")
        if file is not None:
            try:
                given = file.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise Misused(f"the token cannot be read: {file}: {_reason(error)}") from None
        if not given.strip():
            raise Misused(f"no token for the front door: name its file with --token-file, or set {TOKEN}")
        if not _TOKEN.fullmatch(given.strip()):
            raise Misused("the token for the front door is no bearer token: one word of letters, digits and ._~+/-")
        return given.strip()

    def _kubeconfig(self) -> str | None:
        """One file or, as kubectl has it, several with a colon between them; None for the one in the home folder."""
        if self._options.kubeconfig is not None:
            return str(self._options.kubeconfig)
        if named := self._environment.get("KUBECONFIG"):
            return named
        return str(_LAPTOP) if _LAPTOP.exists() and not (Path.home() / ".kube" / "config").exists() else None

    def _laptop_token(self) -> Path | None:
        if self._environment.get(TOKEN):
            return None
        kubeconfig = Path(self._kubeconfig() or "none")
        token = kubeconfig.parent.parent / _LAPTOP_TOKEN
        return token if kubeconfig.parts[-2:] == _LAPTOP.parts[-2:] and token.exists() else None

    def _sources(self, function: str, kind: str) -> Iterator[str]:
        """Names of what a function's environment comes from: an overlay's ConfigMap has its content's hash in it."""
        (container, *_) = self._function(function)["spec"]["template"]["spec"]["containers"]
        for source in container.get("envFrom", []):
            if kind in source:
                yield source[kind]["name"]

    def _function(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] | None = self.cluster.get_service(name)
        if found is None:
            raise Unreachable(
                f"there is no function {name} in namespace {self.cluster.namespace}: is this the right --context and "
                "--namespace?"
            )
        return found


@contextmanager
def reaching() -> Iterator[None]:
    """The cluster's faults as Unreachable."""
    try:
        yield
    except FunctionError as error:
        raise Unreachable(str(error)) from None


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return error.strerror or "unreadable" if isinstance(error, OSError) else "is no text"
