"""When a page that was begun may take its next step. Pure."""

from datetime import datetime, timedelta
from typing import Final

from bigpanda_mlflow.rollout_state import Rollout, ServicePhase, ServiceState
from bigpanda_mlflow.settings import Settings

RETRY: Final = timedelta(seconds=45)
"""Between two attempts at a candidate that could not be judged."""


def due_at(state: ServiceState, rollout: Rollout, settings: Settings) -> datetime:
    """When a Service that was begun may take its next step."""
    if state.phase is ServicePhase.SHIFTING and not is_hurried(rollout, state.since):
        return state.since + settings.rollout_step_soak
    return state.since + (RETRY if state.attempts else timedelta(0))


def is_hurried(rollout: Rollout, since: datetime) -> bool:
    """Whether an operator said later than that not to wait."""
    return rollout.hurried_at is not None and rollout.hurried_at >= since
