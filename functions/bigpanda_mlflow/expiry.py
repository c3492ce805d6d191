"""Which Services end, and why: a pure decision over one listing and one clock.

Promises: a Service ends when its lifetime is over, or when a tombstone covers the newest event it knows (a deletion
that was interrupted). One without a readable expiry stays: somebody edited it, and a page too many is better than a
page lost.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from bigpanda_mlflow.taskservice import TaskService
from bigpanda_mlflow.tombstones import Tombstone, read_tombstone


@dataclass(frozen=True)
class Ending:
    """One Service to delete exactly as it was read, and the tombstone to set before."""

    service: TaskService
    tombstone: Tombstone


def plan_expiry(services: Iterable[TaskService], tombstones: Mapping[str, str], now: datetime) -> list[Ending]:
    """The endings due at `now`, in the order of `services`."""
    endings = []
    for service in services:
        stone = read_tombstone(tombstones, service.jeditaskid)
        if stone is not None and service.last <= stone.last:
            endings.append(Ending(service, stone))
        elif service.expires_at is not None and service.expires_at <= now:
            endings.append(Ending(service, Tombstone(service.last, now, "expired")))
    return endings
