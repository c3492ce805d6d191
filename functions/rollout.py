"""`rollout`: a new MLflow image goes through the fleet, step by step; called by the broker, and by a PingSource."""

from functools import partial

import functions_framework
from flask import Request, Response

from bigpanda_mlflow.candidate_ready import verify_ready
from bigpanda_mlflow.endpoint import Endpoint
from bigpanda_mlflow.events import EventType
from bigpanda_mlflow.rollout_handlers import rollout as handle

_accepted = (EventType.PING, EventType.IMAGE_PUBLISHED, EventType.ROLLOUT_COMMAND, EventType.SNAPSHOT_PUBLISHED)
_endpoint = Endpoint.from_environment(partial(handle, verify=verify_ready), *_accepted)


@functions_framework.http
def rollout(request: Request) -> Response:
    """Answers 204; each phase that a rollout comes to is announced to the broker as `rollout.progressed`."""
    return _endpoint(request)
