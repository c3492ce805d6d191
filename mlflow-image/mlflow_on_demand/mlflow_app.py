"""MLflow's own web application over one snapshot, unmodified: only its environment is set before it is imported.

It is MLflow's Flask application. The FastAPI one around it adds routers for the gateway, jobs, the assistant and the
like, none of which a viewer needs, and it cannot be imported without numpy; everything that MLflow's page reads is in
Flask.
"""

import os
import warnings
from contextlib import closing
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

from starlette.types import ASGIApp

from mlflow_on_demand.errors import OnDemandError
from mlflow_on_demand.gate import mlflow_allowed_hosts, mlflow_allowed_origins
from mlflow_on_demand.lazy_imports import import_lazily
from mlflow_on_demand.settings import ServerSettings
from mlflow_on_demand.snapshot import Manifest
from mlflow_on_demand.url_rules import build_urls_late


def make_environment(settings: ServerSettings, database: Path) -> dict[str, str]:
    """What MLflow must find in its environment when it is imported.

    The database need not be there yet: MLflow opens it on the first request. Internal names are from
    mlflow/server/constants.py.
    """
    uri = f"sqlite:///{immutable_uri(database)}&uri=true"
    return {
        "_MLFLOW_SERVER_FILE_STORE": uri,
        "_MLFLOW_SERVER_REGISTRY_STORE": uri,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "panda-snapshot:/",
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "false",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_SERVER_ALLOWED_HOSTS": mlflow_allowed_hosts(settings),
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": mlflow_allowed_origins(settings),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "GIT_PYTHON_REFRESH": "quiet",
    }


def immutable_uri(database: Path) -> str:
    """SQLite's name for a file that nobody writes: it skips its locks, which a read-only file system would refuse."""
    return f"file:{database}?mode=ro&immutable=1"


def load_mlflow(environment: dict[str, str]) -> Any:
    """Import MLflow's server in this process, and return its Flask application."""
    os.environ.update(environment)
    import_lazily()
    build_urls_late()
    from mlflow.server import app

    return app


def check_mlflow(flask_app: Any, manifest: Manifest) -> None:
    """Ask MLflow for the snapshot's first experiment, which opens its store; OnDemandError if that does not work."""
    # By the bare protocol: Flask's own client for tests brings click's, and that a debugger.
    request: dict[str, Any] = {
        "PATH_INFO": "/api/2.0/mlflow/experiments/get",
        "QUERY_STRING": f"experiment_id={manifest.experiments[0].id}",
        "HTTP_HOST": "localhost",
    }
    setup_testing_defaults(request)
    said: list[str] = []
    with closing(flask_app(request, lambda status, *_: said.append(status))) as body:
        b"".join(body)
    if said != ["200 OK"]:
        raise OnDemandError(f"MLflow cannot open the snapshot (it answered {', '.join(said)})")


def make_asgi(flask_app: Any) -> ASGIApp:
    """The Flask application behind the adapter on which MLflow's own server builds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, and still what MLflow itself uses
        from starlette.middleware.wsgi import WSGIMiddleware

    return WSGIMiddleware(flask_app)
