"""`sweep`: called by a PingSource, has new tarballs ingested. Runs in the MLflow image, whose snapshots it looks at."""

from functools import partial

import functions_framework
from flask import Request, Response

from bigpanda_mlflow.endpoint import Endpoint
from bigpanda_mlflow.events import EventType
from bigpanda_mlflow.handlers import sweep as handle
from mlflow_on_demand.news import find_news

_endpoint = Endpoint.from_environment(partial(handle, find=find_news), EventType.PING)


@functions_framework.http
def sweep(request: Request) -> Response:
    """Answers 204; for each task with something new, the broker gets a `task.results`."""
    return _endpoint(request)
