"""The snapshot that a request sees: one and the same from its first look at the database to its last byte.

A newer snapshot may come at any time. Requests that are under way end on the one with which they began, so no answer is
torn between two; its database goes when nobody can ask it any more. Light to import: no MLflow.
"""

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from mlflow_on_demand.bundle import Bundle


@dataclass(frozen=True, eq=False)
class Served:
    """An open snapshot; its database is removed with it."""

    database: Path
    bundle: Bundle

    def __post_init__(self) -> None:
        weakref.finalize(self, self.database.unlink, missing_ok=True)


_present: ContextVar[list[Served] | None] = ContextVar("served", default=None)


@contextmanager
def seeing(served: Served) -> Iterator[None]:
    """Within it, and in threads that get a copy of its context, MLflow reads from this snapshot."""
    # A list that is emptied: an idle thread keeps the copy of its last context for as long as it likes.
    chosen = [served]
    token = _present.set(chosen)
    try:
        yield
    finally:
        _present.reset(token)
        chosen.clear()


def present() -> Served | None:
    """The snapshot of this request; None where nobody chose one."""
    chosen = _present.get()
    return chosen[0] if chosen else None
