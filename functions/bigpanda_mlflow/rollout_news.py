"""The news of a rollout for the broker: told once each phase or cohort, again rather than never after a crash."""

import logging
from dataclasses import replace
from datetime import datetime

from bigpanda_mlflow.errors import Transient
from bigpanda_mlflow.events import EventType, Outcome, RolloutProgressed
from bigpanda_mlflow.rollout_state import Rollout
from bigpanda_mlflow.settings import Settings
from bigpanda_mlflow.sink import send

log = logging.getLogger(__name__)


def announce(rollout: Rollout, settings: Settings, now: datetime) -> Rollout:
    """The record once the broker knows of its phase; as it is where that is known, or the broker is away: a rollback
    must not wait for it.
    """
    if rollout.announced == rollout.news:
        return rollout
    try:
        send(settings, make_news(rollout, now))
    except Transient as error:
        log.warning("not announced yet: %s", error, extra={"rollout": rollout.name})
        return rollout
    return replace(rollout, announced=rollout.news)


def make_news(rollout: Rollout, now: datetime) -> Outcome:
    """The event; the same phase gives the same id."""
    data = RolloutProgressed(
        rollout=rollout.name,
        image=rollout.image,
        version=rollout.version,
        phase="paused" if rollout.paused else rollout.phase.value,
        cohort=rollout.cohort + 1,
        services=rollout.services,
        promoted=rollout.promoted,
        failed=rollout.failed,
        reason=rollout.reason,
    )
    return Outcome(EventType.ROLLOUT_PROGRESSED, f"{rollout.name}:{rollout.news}", now, data)
