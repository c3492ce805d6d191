"""`front`: the way in for BigPanDA, which stands outside the cluster."""

import functions_framework
from flask import Request, Response

from bigpanda_mlflow.frontdoor import FrontDoor

_door = FrontDoor.from_environment()


@functions_framework.http
def front(request: Request) -> Response:
    """Takes events to the broker, and says where a task stands."""
    return _door(request)
