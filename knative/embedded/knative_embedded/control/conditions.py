"""Conditions as Knative keeps them: one Ready computed from the others, and times that move only with the status. Pure.

Source: knative.dev/pkg apis/condition_set.go.
"""

import dataclasses
import datetime as dt
from enum import StrEnum

from knative_embedded.objects import Object, generation_of, status_of, timestamp


class Truth(StrEnum):
    """A condition's status."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What is said of one condition."""

    truth: Truth
    reason: str = ""
    message: str = ""


TRUE = Verdict(Truth.TRUE)
UNKNOWN = Verdict(Truth.UNKNOWN)


def deny(reason: str, message: str) -> Verdict:
    """False, for a reason."""
    return Verdict(Truth.FALSE, reason, message)


def doubt(reason: str, message: str = "") -> Verdict:
    """Unknown, for a reason."""
    return Verdict(Truth.UNKNOWN, reason, message)


def judge(verdicts: list[Verdict]) -> Verdict:
    """Ready of its dependents, those that changed last first: the first False, else the first Unknown, else True."""
    for truth in (Truth.FALSE, Truth.UNKNOWN):
        for verdict in verdicts:
            if verdict.truth is truth:
                return verdict
    return TRUE


def read_verdict(condition: Object) -> Verdict:
    """A stored condition; Unknown when it is not there."""
    if not condition:
        return UNKNOWN
    return Verdict(Truth(condition["status"]), condition.get("reason", ""), condition.get("message", ""))


def make_conditions(
    owner: Object, dependents: dict[str, Verdict], informational: dict[str, Verdict], now: dt.datetime
) -> list[Object]:
    """The conditions of `owner`, Ready among them, by type; unchanged ones keep their time."""
    old = {one["type"]: one for one in status_of(owner).get("conditions") or []}
    made = [_make_condition(kind, verdict, old.get(kind, {}), now) for kind, verdict in dependents.items()]
    changed = {one["type"]: (one != old.get(one["type"]), one["lastTransitionTime"]) for one in made}
    latest_first = sorted(dependents, key=lambda kind: changed[kind], reverse=True)
    verdict = judge([dependents[kind] for kind in latest_first])
    made = [one for one in made if one["type"] != "Ready"]
    made.append(_make_condition("Ready", verdict, old.get("Ready", {}), now))
    for kind, said in informational.items():
        made.append(_make_condition(kind, said, old.get(kind, {}), now, severity="Info"))
    return sorted(made, key=lambda one: str(one["type"]))


def _make_condition(kind: str, verdict: Verdict, before: Object, now: dt.datetime, severity: str = "") -> Object:
    fields = {"severity": severity, "reason": verdict.reason, "message": verdict.message}
    one: Object = {"type": kind, "status": str(verdict.truth), **{key: value for key, value in fields.items() if value}}
    unchanged = {key: value for key, value in before.items() if key != "lastTransitionTime"} == one
    return one | {"lastTransitionTime": before["lastTransitionTime"] if unchanged else timestamp(now)}


def make_status(owner: Object, conditions: list[Object], fields: Object) -> Object:
    """A status with its observedGeneration; empty fields are left out."""
    found = {key: value for key, value in fields.items() if value not in (None, "", [], {})}
    return {"observedGeneration": generation_of(owner), "conditions": conditions, **found}
