"""The fleet as a rollout sees it: one small record a page, and where it stands. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from bigpanda_mlflow.names import jeditaskid_of
from bigpanda_mlflow.rollout_services import image_of, state_of
from bigpanda_mlflow.rollout_state import Rollout, RolloutPhase, ServicePhase, ServiceState
from bigpanda_mlflow.traffic import Resource


@dataclass(frozen=True, slots=True)
class Member:
    """One page of the fleet: its Service's name, the image of its template, where it stands."""

    name: str
    image: str
    state: ServiceState | None


class Standing(StrEnum):
    """Where a page stands, seen from one rollout."""

    WAITING = "waiting"
    WORKING = "working"
    DONE = "done"
    FAILED = "failed"
    RETURNED = "returned"


def standing_of(member: Member, rollout: Rollout) -> Standing:
    """Where a page stands. One that has the image already, however it came by it, is done."""
    state = member.state
    if state is None or state.rollout != rollout.name:
        settled = state is None or state.phase.is_settled
        return Standing.DONE if settled and member.image == rollout.image else Standing.WAITING
    if state.phase is ServicePhase.PROMOTED:
        return Standing.DONE
    if not state.phase.is_settled:
        return Standing.WORKING
    if is_another_try(state, rollout):
        return Standing.WAITING
    return Standing.FAILED if state.phase is ServicePhase.FAILED else Standing.RETURNED


def was_made_with_it(image: str, state: ServiceState | None, rollout: Rollout) -> bool:
    """Whether a page was made with the rollout's image, so that it has no Revision from before."""
    return state is None and image == rollout.image != rollout.stable_image


def is_another_try(state: ServiceState, rollout: Rollout) -> bool:
    """Whether a page that did not make it in a halted round is to be tried again."""
    gave_up = state.phase in {ServicePhase.FAILED, ServicePhase.RETURNED}
    trying = rollout.phase in {RolloutPhase.PREPARING, RolloutPhase.ROLLING, RolloutPhase.COMPLETING}
    return gave_up and trying and state.round < rollout.round


def is_of_cohort(member: Member, rollout: Rollout) -> bool:
    """Whether a page was begun in the rollout's present cohort and round."""
    state = member.state
    if state is None or state.rollout != rollout.name:
        return False
    return (state.cohort, state.round) == (rollout.cohort, rollout.round)


def read_members(services: Iterable[Resource]) -> Iterator[Member]:
    """The pages among the Services."""
    for service in services:
        name = service["metadata"]["name"]
        if jeditaskid_of(name) is not None:
            yield Member(name, image_of(service), state_of(service))
