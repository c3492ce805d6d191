"""Whom the server talks to: the task's own host and its tag hosts, and pages that come from there.

Without it, a foreign name that resolves here could read a task through a browser (DNS rebinding), and a foreign page
could post to it. MLflow has such checks of its own; ours also cover what we answer before MLflow is there, and are the
stricter for a page's origin. A rollout asks a Revision by its tag from within the cluster: such names end in
`.svc.cluster.local`, which no foreign name can, for nobody can register it. Pure.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

from mlflow_on_demand.settings import ServerSettings

_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_WITHIN = ".svc.cluster.local"
# Probes and tests of the platform address a pod by whatever name they know.
OPEN_PATHS = frozenset({"/health", "/ready"})


@dataclass(frozen=True)
class Gate:
    """The rule for one task; `host` is its public host name without the port."""

    host: str

    def refuse(self, path: str, host_header: str, origin: str) -> str | None:
        """Why a request is refused, in a sentence, or None when it may pass."""
        if path in OPEN_PATHS:
            return None
        if not self._is_ours(_name(f"//{host_header}")):
            return "This server does not answer to that host name."
        if not is_same_origin(origin, host_header) and not self._is_public(_name(origin)):
            return "This server does not answer to pages of other sites."
        return None

    def _is_ours(self, name: str) -> bool:
        return name in _LOCAL or name.endswith(_WITHIN) or self._is_public(name)

    def _is_public(self, name: str) -> bool:
        return name == self.host or name.endswith(f"-{self.host}")


def is_same_origin(origin: str, host_header: str) -> bool:
    """Whether a request comes from no page at all, or from one of the host that it goes to."""
    return not origin or origin.partition("://")[2] == host_header


def mlflow_allowed_hosts(settings: ServerSettings) -> str:
    """The same rule in the form of MLflow's own setting MLFLOW_SERVER_ALLOWED_HOSTS."""
    names = [settings.public_host, f"*-{settings.public_host}", f"*{_WITHIN}", "localhost", "127.0.0.1", "[[]::1]"]
    plain = [name.replace("[[]", "[") for name in names]
    return ",".join([*plain, *(f"{name}:*" for name in names)])


def mlflow_allowed_origins(settings: ServerSettings) -> str:
    """The same rule in the form of MLflow's own setting MLFLOW_SERVER_CORS_ALLOWED_ORIGINS, on any port."""
    scheme = settings.public_url.partition("://")[0]
    names = (settings.public_host, f"*-{settings.public_host}")
    return ",".join(f"{scheme}://{name}{port}" for port in ("", ":*") for name in names)


def _name(uri: str) -> str:
    try:
        return urlsplit(uri).hostname or ""
    except ValueError:
        return ""
