"""What a caller who prefers to wait is told: the outcome as soon as there is one, and never more than is so.

The broker confirms an event once it has it: at once where it writes events down, only after all deliveries where it
keeps them in memory. What came of this very event is as good a proof that it has it, and may be there long before.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, TypeVar

OutcomeT = TypeVar("OutcomeT")
_POLL_SECONDS: Final = 0.05


def wait_for_outcome(confirmed: "Future[None]", look: Callable[[], OutcomeT | None], seconds: float) -> OutcomeT | None:
    """What `look` finds within these seconds; None once the broker has confirmed the event and there was no outcome.

    Raises what `confirmed` raises: then nobody may be told that the event was accepted.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if confirmed.done():
            confirmed.result()
        if (outcome := look()) is not None:
            return outcome
        time.sleep(_POLL_SECONDS)
    confirmed.result()
    return None
