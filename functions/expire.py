"""`expire`: called by a PingSource, ends the pages whose lifetime is over."""

import functions_framework
from flask import Request, Response

from bigpanda_mlflow.endpoint import Endpoint
from bigpanda_mlflow.events import EventType
from bigpanda_mlflow.handlers import expire as handle

_endpoint = Endpoint.from_environment(handle, EventType.PING)


@functions_framework.http
def expire(request: Request) -> Response:
    """Answers 204; each page that ended is announced to the broker as `service.expired`."""
    return _endpoint(request)
