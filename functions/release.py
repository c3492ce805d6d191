"""`release`: nobody needs a task's page any more."""

import functions_framework
from flask import Request, Response

from bigpanda_mlflow.endpoint import Endpoint
from bigpanda_mlflow.events import EventType
from bigpanda_mlflow.handlers import release as handle

_endpoint = Endpoint.from_environment(handle, EventType.RELEASE)


@functions_framework.http
def release(request: Request) -> Response:
    """Answers `service.expired` once the Service is deleted, and 204 if a newer event wants it to stay."""
    return _endpoint(request)
