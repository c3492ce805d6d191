"""Which pages give their traffic back to the former Revision, by the rollout's phase, and why. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from bigpanda_mlflow.rollout_members import Member, is_of_cohort, was_made_with_it
from bigpanda_mlflow.rollout_state import Rollout, RolloutPhase, ServicePhase


@dataclass(frozen=True, slots=True)
class Back:
    """Give this Service's traffic back to its former Revision; `fails`: for a fault of its own."""

    name: str
    reason: str
    fails: bool = False


def retreat_of(member: Member, rollout: Rollout, broken: Mapping[str, str]) -> Back | None:
    """What makes this page go back, if anything does; `broken` says, by name, which Revisions with the rollout's image
    are at fault and why.
    """
    decide = _BY_PHASE.get(rollout.phase)
    return None if decide is None else decide(member, rollout, broken)


def _fallen(member: Member, rollout: Rollout, broken: Mapping[str, str]) -> Back | None:
    # Verified and promoted, and then Knative found its Revision at fault.
    if member.state is None or not is_of_cohort(member, rollout):
        return None
    if member.state.phase in {ServicePhase.FAILING, ServicePhase.RETURNING}:
        return Back(member.name, member.state.reason or "")
    if member.state.phase is not ServicePhase.PROMOTED or member.state.current not in broken:
        return None
    return Back(member.name, f"broke after it was promoted: {broken[member.state.current]}", fails=True)


def _halted(member: Member, rollout: Rollout, _: Mapping[str, str]) -> Back | None:
    loses = is_of_cohort(member, rollout) and _has_something_to_lose(member, rollout, promoted=True)
    return Back(member.name, f"its cohort was halted: {rollout.reason}") if loses else None


def _rolled_back(member: Member, rollout: Rollout, _: Mapping[str, str]) -> Back | None:
    loses = _has_something_to_lose(member, rollout, promoted=True)
    loses = loses or was_made_with_it(member.image, member.state, rollout)
    return Back(member.name, "the rollout was rolled back") if loses else None


def _aborted(member: Member, rollout: Rollout, _: Mapping[str, str]) -> Back | None:
    loses = _has_something_to_lose(member, rollout, promoted=False)
    return Back(member.name, "the rollout was aborted") if loses else None


def _has_something_to_lose(member: Member, rollout: Rollout, *, promoted: bool) -> bool:
    # What hangs half-way goes back, even if a rollout that was superseded began it.
    if member.state is None:
        return False
    mine = member.state.rollout == rollout.name
    return not member.state.phase.is_settled or (promoted and mine and member.state.phase is ServicePhase.PROMOTED)


_BY_PHASE: Final[Mapping[RolloutPhase, Callable[[Member, Rollout, Mapping[str, str]], Back | None]]] = {
    RolloutPhase.SOAKING: _fallen,
    RolloutPhase.HALTING: _halted,
    RolloutPhase.ROLLING_BACK: _rolled_back,
    RolloutPhase.ABORTING: _aborted,
}
