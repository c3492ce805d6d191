"""`rollout`: a new MLflow image goes through the fleet, step by step; called by the broker, and by a PingSource.

Runs in the MLflow image, for it compares what lies in the snapshot store.
"""

from typing import Any

import functions_framework
from flask import Request, Response

from bigpanda_mlflow.context import Context
from bigpanda_mlflow.endpoint import Endpoint
from bigpanda_mlflow.events import Event, EventType
from bigpanda_mlflow.rollout_handlers import rollout as handle
from bigpanda_mlflow.verification import Verification


def _handle(event: Event[Any], context: Context) -> None:
    handle(event, context, Verification(context.settings.snapshot_store))


_accepted = (EventType.PING, EventType.IMAGE_PUBLISHED, EventType.ROLLOUT_COMMAND, EventType.SNAPSHOT_PUBLISHED)
_endpoint = Endpoint.from_environment(_handle, *_accepted)


@functions_framework.http
def rollout(request: Request) -> Response:
    """Answers 204; each phase that a rollout comes to is announced to the broker as `rollout.progressed`."""
    return _endpoint(request)
