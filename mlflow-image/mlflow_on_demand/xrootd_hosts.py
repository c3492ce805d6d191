"""To which hosts a tracking server may connect by URIs that its clients gave it. Pure.

A client of MLflow may name any artifact location. A server that followed it would show its own credentials to whatever
host is named there, so it follows only to the hosts that it was started with, as MLflow itself does for `http` and
others (GHSA-mr9f-g8qf-4w4j). The variables are MLflow's own: `mlflow server` sets the first two for its workers.
"""

from collections.abc import Mapping

from mlflow_on_demand.errors import StoreUriError
from mlflow_on_demand.xrootd_uri import XRootDUri

ALLOWED_SCHEMES = "MLFLOW_ALLOWED_HOST_ADDRESSED_ARTIFACT_SCHEMES"
_SERVER_ROOT = "_MLFLOW_SERVER_ARTIFACT_ROOT"
_SERVER_DESTINATION = "_MLFLOW_SERVER_ARTIFACT_DESTINATION"
_PORT = ":1094"


def may_connect(place: XRootDUri, env: Mapping[str, str]) -> bool:
    """Always outside of a tracking server; within, to the hosts of its own artifacts and where the operator allows."""
    if _SERVER_ROOT not in env:
        return True
    if place.scheme in {scheme.strip().lower() for scheme in env.get(ALLOWED_SCHEMES, "").split(",")}:
        return True
    return _address(place) in {_own(env.get(name, "")) for name in (_SERVER_ROOT, _SERVER_DESTINATION)}


def _own(uri: str) -> str | None:
    try:
        return _address(XRootDUri.parse(uri))
    except StoreUriError:
        return None


def _address(place: XRootDUri) -> str:
    server = place.server.lower()
    return server if server.rpartition("]")[2].count(":") else server + _PORT
