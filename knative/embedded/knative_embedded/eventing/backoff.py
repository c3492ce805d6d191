"""When a delivery is tried again, and when it is given up. Pure.

Source: knative/eventing pkg/kncloudevents/retries.go (RetryConfigFromDeliverySpec, SelectiveRetry).
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

    retry: int = 0
    policy: Policy = Policy.EXPONENTIAL
    delay: float = 0.0
    timeout: float = LONGEST


def parse_delivery(trigger: Object | None, broker: Object | None) -> Delivery:
    """The trigger's delivery spec if it has one, else the broker's: never a mixture of the two.

    What the chosen one leaves out is none: no retries, and no wait unless both policy and delay are said. The ten
    exponential retries are what a Broker without a delivery spec gets at its creation.
    """
    chosen = {
        key: value for key, value in ((broker if trigger is None else trigger) or {}).items() if value is not None
    }
    waits = "backoffPolicy" in chosen and "backoffDelay" in chosen
    return Delivery(
        retry=int(chosen.get("retry", 0)),
        policy=Policy(chosen["backoffPolicy"]) if waits else Policy.EXPONENTIAL,
        delay=parse_iso_duration(chosen["backoffDelay"]) if waits else 0.0,
        timeout=parse_iso_duration(chosen["timeout"]) if "timeout" in chosen else LONGEST,
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
