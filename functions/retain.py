"""`retain`: called by a PingSource, collects old snapshots. Runs in the MLflow image, which can write to the stores."""

import functions_framework
from flask import Request, Response

from bigpanda_mlflow.endpoint import Endpoint
from bigpanda_mlflow.events import EventType
from bigpanda_mlflow.retaining import retain as handle

_endpoint = Endpoint.from_environment(handle, EventType.PING)


@functions_framework.http
def retain(request: Request) -> Response:
    """Answers 204; its log says how many objects and bytes were collected, and why."""
    return _endpoint(request)
