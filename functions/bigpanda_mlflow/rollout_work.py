"""One page through a rollout: read, decide, write, until there is nothing more to do for it now.

Promises: each write is complete in itself and made against what was read, so that a crash after any of them, or
somebody else's change before it, is continued by reading anew; no traffic moves once the record says that none may; no
Revision is deleted that is routed, or could be at the next write.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from threading import Event as Flag
from typing import Final, Protocol

from bigpanda_mlflow.cluster_fleet import Fleet
from bigpanda_mlflow.context import Context
from bigpanda_mlflow.errors import ClusterConflict, Permanent, Transient
from bigpanda_mlflow.inside import Door, door_of, have_ingested
from bigpanda_mlflow.names import INGEST, jeditaskid_of
from bigpanda_mlflow.rollout_due import due_at
from bigpanda_mlflow.rollout_members import is_another_try, was_made_with_it
from bigpanda_mlflow.rollout_plan import Forward, next_percent
from bigpanda_mlflow.rollout_retreats import Back
from bigpanda_mlflow.rollout_services import (
    begin,
    fail_where_it_is,
    goal_of_retreat,
    image_of,
    make_anew,
    needed_revisions,
    note_attempt,
    retreat,
    settle,
    shift,
    state_of,
)
from bigpanda_mlflow.rollout_state import Rollout, ServicePhase, ServiceState
from bigpanda_mlflow.traffic import CANDIDATE, Resource, current_revision, tagged_revision
from bigpanda_mlflow.verification import Verdict

log = logging.getLogger(__name__)

MOST_ATTEMPTS: Final = 5
"""How often a candidate may leave it open whether it is good; a minute or more lies between two of them."""
_INGEST_SECONDS: Final = 180.0
"""One that takes longer goes on by itself, and is found done at the next attempt."""
_ROUTE_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.1
_MOST_POLL_SECONDS: Final = 2.0
_WRITES: Final = 30
"""More than a page needs, with others writing at the same time."""
_SETTLED: Final = {ServicePhase.FAILED, ServicePhase.RETURNED}
_LEAVING: Final = {ServicePhase.FAILING, ServicePhase.RETURNING}


class Verify(Protocol):
    """Wakes a candidate and compares what it shows with what the task's page shows now."""

    def __call__(
        self, candidate_url: str, jeditaskid: int, expected_version: str, deadline: float, host: str | None, /
    ) -> Verdict:
        """By `deadline`, of the monotonic clock; `host` is the `Host` header to send, if another than the URL's. Raises
        Transient where it cannot tell.
        """


class Result(StrEnum):
    """How a page's turn ended."""

    DONE = "done"
    FAILED = "failed"
    LATER = "later"
    GONE = "gone"


@dataclass(frozen=True)
class Worker:
    """Carries out a plan's work; `halt` is set once the record no longer says that pages may move."""

    context: Context
    fleet: Fleet
    rollout: Rollout
    verify: Verify
    halt: Flag

    def carry_out(self, item: Forward | Back) -> Result:
        """One page's turn. Raises Transient where the cluster does not do its part."""
        service: Resource | None = None
        for _ in range(_WRITES):
            if self.halt.is_set():
                return Result.LATER
            service = service or self.context.cluster.get_service(item.name)
            if service is None:
                return Result.GONE
            try:
                came_to = self._forward(service) if isinstance(item, Forward) else self._back(service, item)
            except ClusterConflict:
                service = None
                continue
            if isinstance(came_to, Result):
                return came_to
            service = came_to
        raise Transient(f"{item.name} keeps changing")

    def _forward(self, service: Resource) -> "Result | Resource":
        """How the turn ends here, or the Service as this step has written it."""
        state = state_of(service)
        if state is None or state.rollout != self.rollout.name or is_another_try(state, self.rollout):
            return self._begin(service)
        if state.phase is ServicePhase.PROMOTED:
            return Result.DONE
        if state.phase in _SETTLED:
            return Result.FAILED
        if state.phase in _LEAVING:
            return self._clear_away(service, state)
        return self._judge(service, state)

    def _begin(self, service: Resource) -> Resource:
        if not current_revision(service):  # just made, perhaps
            service = self._await(service, lambda found: bool(current_revision(found)))
        return self._write(service, lambda found: begin(found, self.rollout, self.context.now()))

    def _judge(self, service: Resource, state: ServiceState) -> "Result | Resource":
        settings, now = self.context.settings, self.context.now()
        if due_at(state, self.rollout, settings) > now:
            return Result.LATER
        try:
            service, verdict = self._ask(service, state)
        except Transient as error:
            if state.attempts + 1 < MOST_ATTEMPTS:
                reason = str(error)
                self._write(service, lambda found: note_attempt(found, state, reason, now))
                return Result.LATER
            verdict = Verdict(ok=False, reasons=(f"{error}, {MOST_ATTEMPTS} times",))
        except Permanent as error:
            verdict = Verdict(ok=False, reasons=(str(error),))
        if not verdict.ok:
            return self._retreat(service, state, "; ".join(verdict.reasons), fails=True)
        return Result.LATER if self.halt.is_set() else self._shift(service, state)

    def _shift(self, service: Resource, state: ServiceState) -> "Result | Resource":
        revisions = self.fleet.revisions_of(service["metadata"]["name"])
        is_busy = any(one["metadata"]["name"] == state.current and _has_pods(one) for one in revisions)
        percent = next_percent(state, is_busy=is_busy, steps=self.context.settings.rollout_steps)
        if percent == 100:
            self._collect(service, revisions)
        moved = self._write(service, lambda found: shift(found, state, percent, self.context.now()))
        log.info("moved", extra={"service": service["metadata"]["name"], "percent": percent})
        return moved if percent == 100 else Result.LATER

    def _ask(self, service: Resource, state: ServiceState) -> tuple[Resource, Verdict]:
        """Its snapshot in the candidate's schema first, then the candidate; with the Service as it was when asked."""
        name, settings = service["metadata"]["name"], self.context.settings
        task = jeditaskid_of(name)
        assert task is not None  # a plan's names are of pages
        # What ingest refuses for good may be refused by the present image's as well, as of a task without tarballs yet:
        # the comparison tells.
        refusal = self._have_ingested(task, state) if state.phase is ServicePhase.CANDIDATE else None
        found = self._await(service, lambda one: tagged_revision(one, CANDIDATE) == state.candidate)
        if tagged_revision(found, CANDIDATE) != state.candidate:
            raise Transient(f"Knative does not route to {state.candidate}{self._fault_of(state.candidate)}")
        verdict = self._verify(door_of(name, CANDIDATE, settings), task)
        if not verdict.ok and refusal is not None:
            verdict = Verdict(ok=False, reasons=(refusal, *verdict.reasons))
        return found, verdict

    def _have_ingested(self, task: int, state: ServiceState) -> str | None:
        """Has the new image's ingest make the task's snapshot; the reason if it refuses. Raises Transient."""
        door = door_of(INGEST, CANDIDATE, self.context.settings)
        try:
            cause = f"{self.rollout.name}:{state.attempts}"
            have_ingested(door, task, cause, self.context.now(), _INGEST_SECONDS)
        except Permanent as error:
            return str(error)
        return None

    def _verify(self, door: Door, task: int) -> Verdict:
        deadline = time.monotonic() + self.context.settings.rollout_verify_timeout.total_seconds()
        return self.verify(door.url, task, self.rollout.version, deadline, door.host)

    def _back(self, service: Resource, item: Back) -> "Result | Resource":
        state = state_of(service)
        if was_made_with_it(image_of(service), state, self.rollout):
            self._have_former_snapshot(service)
            return self._write(service, lambda found: make_anew(found, self.rollout, item.reason, self.context.now()))
        if state is None or state.phase in _SETTLED:
            return Result.FAILED if item.fails else Result.DONE
        if state.phase in _LEAVING:
            return self._clear_away(service, state)
        return self._retreat(service, state, item.reason, fails=item.fails)

    def _retreat(self, service: Resource, state: ServiceState, reason: str, *, fails: bool) -> Resource:
        revision = self.fleet.get_revision(goal_of_retreat(state))
        log.warning("goes back", extra={"service": service["metadata"]["name"], "reason": reason})
        if revision is None:
            gone = f"{reason}; but its former Revision is gone"
            return self._write(service, lambda found: fail_where_it_is(found, state, gone))
        return self._write(service, lambda found: retreat(found, revision, reason, self.context.now(), fails=fails))

    def _have_former_snapshot(self, service: Resource) -> None:
        """Only the new image's ingest has seen this task; where the former one does not answer, the page waits for its
        snapshot, but the rollback does not.
        """
        name, settings = service["metadata"]["name"], self.context.settings
        task, ingest = jeditaskid_of(name), self.context.cluster.get_service(INGEST)
        assert task is not None  # a plan's names are of pages
        for target in (ingest or {}).get("status", {}).get("traffic") or []:
            if target.get("tag") and self.fleet.get_image(target["revisionName"]) == self.rollout.stable_image:
                door, cause = door_of(INGEST, target["tag"], settings), f"{self.rollout.name}:back"
                try:
                    have_ingested(door, task, cause, self.context.now(), _INGEST_SECONDS)
                except (Transient, Permanent) as error:
                    log.warning("no snapshot yet: %s", error, extra={"service": name})
                return

    def _clear_away(self, service: Resource, state: ServiceState) -> "Result | Resource":
        def is_routed(found: Resource) -> bool:
            traffic = found.get("status", {}).get("traffic") or []
            return any(target.get("revisionName") == state.candidate for target in traffic)

        service = self._await(service, lambda found: not is_routed(found))
        if is_routed(service):
            return Result.LATER
        self._collect(service, self.fleet.revisions_of(service["metadata"]["name"]))
        return self._write(service, lambda found: settle(found, state, self.context.now()))

    def _collect(self, service: Resource, revisions: list[Resource]) -> None:
        """Deletes those that nobody needs any more, by the Service as it is at this moment."""
        if all(revision["metadata"]["name"] in needed_revisions(service) for revision in revisions):
            return
        needed = needed_revisions(self._again(service))
        for revision in revisions:
            if revision["metadata"]["name"] not in needed:
                self.fleet.delete_revision(revision)

    def _await(self, service: Resource, holds: Callable[[Resource], bool]) -> Resource:
        """The Service once that holds, or as it is when the time is up."""
        deadline, pause = time.monotonic() + _ROUTE_SECONDS, _POLL_SECONDS
        while not holds(service) and time.monotonic() < deadline:
            time.sleep(pause)
            pause = min(2 * pause, _MOST_POLL_SECONDS)  # a cluster that is slow is not asked the more for it
            service = self._again(service)
        return service

    def _again(self, service: Resource) -> Resource:
        """The Service as it is now. Raises ClusterConflict if its spec, or its place in a rollout, is another."""
        found = self.context.cluster.get_service(service["metadata"]["name"])
        same = found is not None and found["metadata"]["generation"] == service["metadata"]["generation"]
        if found is None or not same or state_of(found) != state_of(service):
            raise ClusterConflict("changed or deleted meanwhile")
        return found

    def _write(self, service: Resource, change: Callable[[Resource], Resource]) -> Resource:
        """Writes the change of what was read. Of a status, or of an event's annotations, that came meanwhile nothing is
        lost, and no candidate has to be asked again for it.
        """
        for _ in range(_WRITES):
            try:
                return self.context.cluster.replace_service(change(service))
            except ClusterConflict:
                service = self._again(service)
        raise Transient(f"{service['metadata']['name']} keeps changing")

    def _fault_of(self, revision: str) -> str:
        found = self.fleet.get_revision(revision) or {}
        for condition in found.get("status", {}).get("conditions", []):
            if condition["type"] == "Ready" and condition["status"] == "False":
                return f": {condition.get('message') or condition.get('reason')}"
        return ""


def _has_pods(revision: Resource) -> bool:
    return bool(revision.get("status", {}).get("actualReplicas"))
