"""`visualize`: somebody wants to look at a task, so its page shall exist."""

import functions_framework
from flask import Request, Response

from bigpanda_mlflow.endpoint import Endpoint
from bigpanda_mlflow.events import EventType
from bigpanda_mlflow.handlers import visualize as handle

_endpoint = Endpoint.from_environment(handle, EventType.VISUALIZE)


@functions_framework.http
def visualize(request: Request) -> Response:
    """Answers `service.ready` with URL and expiry, or `service.failed` with the reason."""
    return _endpoint(request)
