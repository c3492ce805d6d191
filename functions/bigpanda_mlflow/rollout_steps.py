"""The steps of a rollout, taken one after the other by whoever holds the Lease: look, plan, carry out, record.

Promises: the record changes only from what was read; pages are worked on some at once, by name, so that memory does not
grow with the work; meanwhile the Lease is renewed and the record looked at every few seconds. A fault of the cluster
ends the call, and the next one begins where this one was.
"""

import logging
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from threading import Event as Flag
from typing import Final

from bigpanda_mlflow import rollout_functions
from bigpanda_mlflow.activities import Activities
from bigpanda_mlflow.cluster_fleet import Fleet
from bigpanda_mlflow.context import Context
from bigpanda_mlflow.errors import ClusterConflict, FunctionError, Transient
from bigpanda_mlflow.rollout_members import read_members
from bigpanda_mlflow.rollout_news import announce
from bigpanda_mlflow.rollout_plan import Plan, plan_step
from bigpanda_mlflow.rollout_state import Rollout, RolloutPhase, move, newest_rollout, put_rollout
from bigpanda_mlflow.rollout_survey import survey_fleet
from bigpanda_mlflow.rollout_work import Result, Verify, Worker
from bigpanda_mlflow.traffic import Resource

log = logging.getLogger(__name__)

_WATCH_SECONDS: Final = 5.0
_PREPARE_SECONDS: Final = 600.0
"""An image that has not been pulled by then is not going to be."""
_LOOKS_AT_REVISIONS: Final = {RolloutPhase.ROLLING, RolloutPhase.SOAKING, RolloutPhase.COMPLETING}


class Steps:
    """One call's steps."""

    def __init__(self, context: Context, fleet: Fleet, verify: Verify, holder: str, seconds: float) -> None:
        self._context = context
        self._fleet = fleet
        self._verify = verify
        self._holder = holder
        self._ends = time.monotonic() + seconds
        self._faults: list[str] = []

    def take(self) -> None:
        """Until nothing is due, the time is up, or the Lease is lost. Raises Transient if a page was left for the next
        step because something did not do its part.
        """
        self._go()
        if self._faults:
            raise Transient(f"{len(self._faults)} pages were left for the next step, one because: {self._faults[0]}")

    def _go(self) -> None:
        while (rollout := self._read()) is not None:
            told = announce(rollout, self._context.settings, self._context.now())
            if not self._record(rollout, told):
                continue
            if told.paused or not told.phase.is_moving or time.monotonic() >= self._ends:
                return
            if not self._fleet.hold_lease(self._holder, self._context.now()) or not self._take(told):
                return

    def _take(self, rollout: Rollout) -> bool:
        """One step; whether another one may be due."""
        if rollout.phase is RolloutPhase.PREPARING:
            return self._prepare(rollout)
        if rollout.phase is RolloutPhase.COMPLETING:
            rollout_functions.complete(self._context, rollout)
        counted, plan = self._plan(rollout)
        if plan.next is not None:
            return self._come_to(rollout, plan.next)
        if not self._record(rollout, counted):
            return True  # somebody else changed it: look again
        return bool(plan.work) and self._work(counted, plan)

    def _plan(self, rollout: Rollout) -> tuple[Rollout, Plan]:
        """The record with the fleet's numbers, and what to do."""
        context = self._context
        revisions: Iterator[Resource] = iter(())
        if rollout.phase in _LOOKS_AT_REVISIONS:
            revisions = self._fleet.list_revisions()
        activities = Activities(revisions, rollout.image)
        members = read_members(context.cluster.list_services())
        survey = survey_fleet(rollout, members, activities, context.settings, context.now())
        return survey.counted, plan_step(survey)

    def _prepare(self, rollout: Rollout) -> bool:
        now = self._context.now()
        waiting = rollout_functions.prepare(self._context, rollout)
        if waiting is None:
            return self._come_to(rollout, move(rollout, RolloutPhase.ROLLING, now))
        if (now - rollout.since).total_seconds() >= _PREPARE_SECONDS:
            return self._come_to(rollout, move(rollout, RolloutPhase.HALTED, now, waiting))
        log.warning("not yet: %s", waiting)
        return False

    def _come_to(self, rollout: Rollout, then: Rollout) -> bool:
        # The functions first: a crash between the two repeats what is then done already.
        if then.phase is RolloutPhase.ROLLED_BACK:
            rollout_functions.revert(self._context, rollout, keep=False)
        elif then.phase is RolloutPhase.ABORTED:
            rollout_functions.revert(self._context, rollout, keep=True)
        self._record(rollout, then)
        log.info("came to %s", then.phase, extra={"rollout": then.name, "cohort": then.cohort, "reason": then.reason})
        return True

    def _work(self, rollout: Rollout, plan: Plan) -> bool:
        """Carries out a plan's work; whether all of it went well enough to go on at once."""
        halt = Flag()
        worker = Worker(self._context, self._fleet, rollout, self._verify, halt)
        with ThreadPoolExecutor(self._context.settings.rollout_at_once, thread_name_prefix="page") as pool:
            try:
                return self._watch(rollout, plan, worker, pool)
            finally:
                halt.set()  # also when this call fails: who is at work ends before the next write

    def _watch(self, rollout: Rollout, plan: Plan, worker: Worker, pool: ThreadPoolExecutor) -> bool:
        work, failures_left = iter(plan.work), plan.failures_left
        running: set[Future[Result]] = set()
        looked = time.monotonic()
        while True:
            if not worker.halt.is_set():
                free = self._context.settings.rollout_at_once - len(running)
                running |= {pool.submit(worker.carry_out, item) for item in islice(work, free)}
            if not running:
                return not self._faults
            done, running = wait(running, _WATCH_SECONDS, FIRST_COMPLETED)
            failures_left -= [self._result(one) for one in done].count(Result.FAILED)
            now = time.monotonic()
            if now - looked >= _WATCH_SECONDS:
                looked = now
                if not self._may_go_on(rollout):
                    worker.halt.set()
            if failures_left < 0 or now >= self._ends:
                worker.halt.set()

    def _may_go_on(self, rollout: Rollout) -> bool:
        newest = self._read()
        if newest is None or _course(newest) != _course(rollout):
            return False
        return self._fleet.hold_lease(self._holder, self._context.now())

    def _read(self) -> Rollout | None:
        return newest_rollout(self._context.cluster.get_rollouts())

    def _record(self, before: Rollout, after: Rollout) -> bool:
        """Writes the record if it is still the newest and as it was read; whether it is now as wanted."""
        if after == before:
            return True

        def change(data: Mapping[str, str]) -> dict[str, str]:
            return put_rollout(data, after) if newest_rollout(data) == before else dict(data)

        try:
            return newest_rollout(self._context.cluster.change_rollouts(change)) == after
        except ClusterConflict:
            return False

    def _result(self, turn: "Future[Result]") -> Result:
        try:
            return turn.result()
        except FunctionError as error:
            self._faults.append(str(error))
        except Exception:
            log.exception("an unexpected fault")
            self._faults.append("of a fault that nobody expected; the log says which")
        return Result.LATER


def _course(rollout: Rollout) -> tuple[object, ...]:
    """What pages at work depend on."""
    return rollout.name, rollout.phase, rollout.cohort, rollout.round, rollout.paused
