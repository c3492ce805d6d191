"""The least that can be asked of a candidate: that it wakes in time, and that it is the MLflow it is said to be."""

import time
from typing import Final

import requests

from bigpanda_mlflow.verification import Verdict

_ANSWER_SECONDS: Final = 10
_POLL_SECONDS: Final = 0.2


def verify_ready(candidate_url: str, _: int, expected_version: str, deadline: float, host: str | None) -> Verdict:
    """Asks `/ready` until it says yes, or the deadline is over."""
    why = "was not asked"
    with requests.Session() as session:
        session.trust_env = False
        while (left := deadline - time.monotonic()) > 0:
            try:
                answer = session.get(
                    f"{candidate_url}/ready",
                    headers={} if host is None else {"Host": host},
                    timeout=min(left, _ANSWER_SECONDS),
                    allow_redirects=False,
                )
                if answer.status_code == 200:
                    return _compare(answer.json().get("mlflow"), expected_version)
                why = f"it answered {answer.status_code}"
            except (requests.RequestException, AttributeError) as error:
                why = f"{type(error).__name__}"
            time.sleep(_POLL_SECONDS)
    return Verdict(ok=False, reasons=(f"the candidate was not ready in time ({why})",))


def _compare(version: object, expected: str) -> Verdict:
    if version == expected:
        return Verdict(ok=True)
    return Verdict(ok=False, reasons=(f"the candidate is MLflow {version} instead of {expected}",))
