"""When a delivery is tried again, and when it is given up. Pure.

Source: knative/eventing pkg/kncloudevents/retries.go (SelectiveRetry, backoff), and the defaults of the multi-tenant
broker: ten retries, exponential from 0.2 s.
"""

import dataclasses
from enum import StrEnum

from knative_embedded.durations import parse_iso_duration
from knative_embedded.objects import Object

LONGEST = 600.0
_RETRIED = {404, 408, 409, 429}


class Policy(StrEnum):
    """How waits grow."""

    LINEAR = "linear"
    EXPONENTIAL = "exponential"


@dataclasses.dataclass(frozen=True)
class Delivery:
    """A delivery spec: durations in seconds; `timeout` bounds one attempt."""

    retry: int = 10
    policy: Policy = Policy.EXPONENTIAL
    delay: float = 0.2
    timeout: float = LONGEST


def parse_delivery(trigger: Object | None, broker: Object | None) -> Delivery:
    """The trigger's delivery spec field by field, else the broker's, else the default."""
    merged = {**(broker or {}), **{key: value for key, value in (trigger or {}).items() if value is not None}}
    default = Delivery()
    return Delivery(
        retry=int(merged.get("retry", default.retry)),
        policy=Policy(merged.get("backoffPolicy", default.policy)),
        delay=parse_iso_duration(merged["backoffDelay"]) if "backoffDelay" in merged else default.delay,
        timeout=parse_iso_duration(merged["timeout"]) if "timeout" in merged else default.timeout,
    )


def may_retry(code: int) -> bool:
    """Whether an answer is worth another try; 0 stands for no answer at all."""
    return code == 0 or code >= 500 or code in _RETRIED


def wait_before(delivery: Delivery, attempts: int) -> float | None:
    """Seconds until the next try after `attempts` failed ones (1, 2, …); None when it is given up."""
    if attempts > delivery.retry:
        return None
    if delivery.policy is Policy.LINEAR:
        return min(delivery.delay * (attempts - 1), LONGEST)
    return min(delivery.delay * 2.0 ** min(attempts - 1, 60), LONGEST)
