"""What must be known of the installed MLflow before it is imported: its version, its schema revision, its UI's files.

Importing MLflow takes a second or more; a wake must look for the snapshot of *its* schema at once. So these are read
from the installed files, and a test holds them against what MLflow itself says.
"""

import re
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from mlflow_on_demand.errors import OnDemandError

_ASSIGNED = re.compile(r"^(revision|down_revision)\s*=\s*[\"']([0-9a-z]+)[\"']", re.MULTILINE)


@cache
def package_dir() -> Path:
    """The directory of the installed `mlflow` package."""
    spec = find_spec("mlflow")
    if spec is None or not spec.submodule_search_locations:
        raise OnDemandError("MLflow is not installed")
    return Path(next(iter(spec.submodule_search_locations)))


@cache
def mlflow_version() -> str:
    """The installed version, e.g. `3.17.2`."""
    return version("mlflow")


@cache
def schema_revision() -> str:
    """The alembic revision of the database that this MLflow reads: the one that no other revision follows."""
    revisions: set[str] = set()
    followed: set[str] = set()
    for script in (package_dir() / "store" / "db_migrations" / "versions").glob("*.py"):
        for kind, revision in _ASSIGNED.findall(script.read_text(encoding="utf-8")):
            (revisions if kind == "revision" else followed).add(revision)
    heads = revisions - followed
    if len(heads) != 1:
        raise OnDemandError(f"MLflow's migrations end in {len(heads)} revisions instead of one")
    return heads.pop()


@cache
def ui_dir() -> Path:
    """The directory of MLflow's built user interface, with `index.html` in it."""
    return package_dir() / "server" / "js" / "build"
