"""Whether the installed MLflow is one that this image can serve: run when an environment is made for it.

    python -m mlflow_on_demand.check_mlflow

What is known of MLflow before it is imported is read from its files, and what a viewer may ask is a list: an MLflow
that lays its files out otherwise, or has lost a route that its page was allowed, must not come as far as a cluster.
What it has beyond is refused there, which is safe, and for the tests to decide upon.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from mlflow_on_demand.errors import OnDemandError
from mlflow_on_demand.mlflow_app import load_mlflow, make_environment
from mlflow_on_demand.mlflow_facts import mlflow_version, schema_revision
from mlflow_on_demand.readonly import API_READS, GRAPHQL, OTHER_READS
from mlflow_on_demand.settings import ServerSettings
from mlflow_on_demand.ui_page import make_page

_PREFIX = re.compile("^/(ajax-)?api/")


def find_faults(routes: set[str]) -> Iterator[str]:
    """What is wrong, in sentences; `routes` are those of MLflow's Flask application, as `METHOD rule`."""
    import mlflow
    from mlflow.store.db.utils import _get_latest_schema_revision

    if mlflow.__version__ != mlflow_version():
        yield f"MLflow says it is {mlflow.__version__}, its package {mlflow_version()}"
    if (latest := _get_latest_schema_revision()) != schema_revision():
        yield f"MLflow's schema is {latest}, but its files were read as {schema_revision()}"
    for route in sorted((API_READS | OTHER_READS | {GRAPHQL}) - routes):
        yield f"MLflow has no {route}, which its page was allowed"
    try:
        make_page()
    except (OSError, OnDemandError) as error:
        yield f"MLflow's page cannot be served: {error}"


def read_routes() -> set[str]:
    """The rules of the installed MLflow, imported as the server imports it; `/api/` and `/ajax-api/` are left out."""
    with TemporaryDirectory() as scratch:
        settings = ServerSettings(1, "file:///nowhere", "http://localhost")
        app = load_mlflow(make_environment(settings, Path(scratch, "none.db")))
    return {f"{method} {_PREFIX.sub('', rule.rule)}" for rule in app.url_map.iter_rules() for method in rule.methods}


def main() -> int:
    """Say what is wrong on stderr; the exit status is 0 if nothing is."""
    faults = list(find_faults(read_routes()))
    for fault in faults:
        print(fault, file=sys.stderr)
    return min(len(faults), 1)


if __name__ == "__main__":
    sys.exit(main())
