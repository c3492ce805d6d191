"""How a rollout stands, from its record and from what each Service says: what `rollout status` shows. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bigpanda_mlflow import labels
from bigpanda_mlflow.names import jeditaskid_of
from bigpanda_mlflow.rollout_state import Rollout, RolloutPhase, ServicePhase, ServiceState, read_rollouts, read_state
from bigpanda_mlflow.traffic import Resource

_WELL_ENDED = (RolloutPhase.COMPLETED, RolloutPhase.SUPERSEDED)
_SETTLED = (ServicePhase.PROMOTED, ServicePhase.FAILED)


@dataclass(frozen=True)
class Failure:
    """One task that stays on its old Revision, and why."""

    jeditaskid: int
    phase: ServicePhase
    reason: str


@dataclass(frozen=True)
class View:
    """One rollout: its record, how many Services are in which phase of it, and what failed."""

    rollout: Rollout
    phases: Mapping[ServicePhase, int]
    failures: tuple[Failure, ...]

    @property
    def done(self) -> int:
        """Services that are promoted, or have failed."""
        return sum(self.phases.get(phase, 0) for phase in _SETTLED)

    @property
    def is_well(self) -> bool:
        """Whether nothing of it went wrong."""
        ended_well = self.rollout.phase.is_moving or self.rollout.phase in _WELL_ENDED
        return ended_well and not self.failures and self.rollout.phase is not RolloutPhase.HALTING

    def as_json(self) -> dict[str, object]:
        """For scripts."""
        return {
            **self.rollout.as_json(),
            "well": self.is_well,
            "phases": {phase.value: number for phase, number in self.phases.items()},
            "failures": [
                {"jeditaskid": one.jeditaskid, "phase": one.phase.value, "reason": one.reason} for one in self.failures
            ],
        }


def find_rollout(records: Mapping[str, str], name: str | None) -> Rollout | None:
    """The one of that name, or the newest."""
    found = read_rollouts(records)
    return next((one for one in found if name in (None, one.name)), None)


def make_view(rollout: Rollout, services: Iterable[Resource]) -> View:
    """The rollout with what the Services say of it."""
    states = [
        (task, state)
        for service in services
        if (task := jeditaskid_of(service["metadata"]["name"])) is not None
        and (state := _state_of(service)) is not None
        and state.rollout == rollout.name
    ]
    phases = Counter(state.phase for _, state in states)
    failures = [
        Failure(task, state.phase, state.reason or "no reason given")
        for task, state in sorted(states, key=lambda one: one[0])
        if state.phase in {ServicePhase.FAILING, ServicePhase.FAILED}
    ]
    return View(rollout, {phase: phases[phase] for phase in ServicePhase if phases[phase]}, tuple(failures))


def tell(view: View) -> str:
    """The state in one line."""
    rollout = view.rollout
    paused = ", paused" if rollout.paused else ""
    counts = ", ".join(f"{number} {phase.value}" for phase, number in view.phases.items()) or "no page touched yet"
    return f"{rollout.phase.value}{paused}, cohort {rollout.cohort + 1}; of {rollout.services} pages: {counts}"


def _state_of(service: Resource) -> ServiceState | None:
    return read_state(service["metadata"].get("annotations", {}).get(labels.ROLLOUT))
