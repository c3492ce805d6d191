"""Whether a candidate Revision may have a task's traffic: it wakes in time, is the MLflow that it is said to be, and
shows what the page shows now.

What it is asked (see `questions`): every recorded answer of the present release, as a page would get it; the first of
them again of MLflow itself (among them a page of runs and a metric's history); how many runs each experiment has; one
artifact, by its bytes. Reasons are sentences for an operator, one a question, with the place of its first difference.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final
from urllib.parse import urlencode

from bigpanda_mlflow.candidate import Candidate, OutOfTime, Unanswered
from bigpanda_mlflow.comparison import find_difference
from bigpanda_mlflow.errors import Transient
from bigpanda_mlflow.golden import Artifact, Golden, find_golden, find_snapshots
from bigpanda_mlflow.questions import SEARCH_RUNS, Question, make_questions
from mlflow_on_demand.errors import OnDemandError
from mlflow_on_demand.snapshot import Experiment

_log = logging.getLogger(__name__)

MOST_REASONS: Final = 10
_MOST_ASKED_ANEW: Final = 40
_PAGE: Final = 200
_MOST_PAGES: Final = 25


@dataclass(frozen=True)
class Verdict:
    """Whether a candidate shows what it should, and if not, each difference in a sentence."""

    ok: bool
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verification:
    """Verifies candidates against what lies in this snapshot store (the URI prefix that servers get)."""

    snapshot_store: str

    def __call__(
        self,
        candidate_url: str,
        jeditaskid: int,
        expected_version: str,
        deadline: float,
        host: str | None = None,
    ) -> Verdict:
        """By `deadline`, of the monotonic clock. `host` is the Host to send where it is not the URL's own.

        Raises Transient where it cannot tell: the store does not answer, the candidate's snapshot lacks tarballs that
        the present one has, because they are still to be ingested, or the time was over before the questions were.
        """
        try:
            with Candidate(candidate_url, host, deadline) as candidate:
                return self._verify(candidate, jeditaskid, expected_version)
        except OnDemandError as error:
            raise Transient(f"the snapshots of task {jeditaskid} cannot be read: {error}") from None

    def _verify(self, candidate: Candidate, jeditaskid: int, expected: str) -> Verdict:
        has_results = bool(find_snapshots(self.snapshot_store, jeditaskid))
        try:
            said = candidate.wait_ready(may_wait=not has_results)
        except Unanswered as error:
            return Verdict(ok=False, reasons=(f"the candidate {error}",))
        if said.get("version") != expected:
            return Verdict(ok=False, reasons=(f"the candidate is MLflow {said.get('version')} instead of {expected}",))
        if "content" not in said:
            return Verdict(ok=True)
        snapshots = find_snapshots(self.snapshot_store, jeditaskid)  # again: ingest may have been at work meanwhile
        golden = find_golden(snapshots, said["content"], expected)
        if golden is None:
            raise Transient(f"the candidate of task {jeditaskid} does not show all tarballs yet that the page shows")
        _log.info(
            "verifying", extra={"jeditaskid": jeditaskid, "against": golden.version, "asked": len(golden.answers)}
        )
        reasons: list[str] = []
        try:
            reasons.extend(islice(_find_reasons(candidate, golden, expected), MOST_REASONS))
        except OutOfTime:
            if not reasons:
                raise Transient(f"the candidate of task {jeditaskid} could not be asked everything in time") from None
        return Verdict(ok=not reasons, reasons=tuple(reasons))


def _find_reasons(candidate: Candidate, golden: Golden, expected: str) -> Iterator[str]:
    try:
        version = candidate.ask("GET", "/version").body.decode("utf-8", "replace")
        if version != expected:
            yield f"version: MLflow says it is {version[:40]} instead of {expected}"
    except Unanswered as error:
        yield f"version: {error}"
    questions = make_questions(golden.answers, is_whole=golden.is_whole)
    told = set[str]()
    for anew, some in ((False, questions), (True, questions[:_MOST_ASKED_ANEW])):
        for question in some:
            reason = _ask(candidate, question, anew=anew)
            if reason is not None and reason not in told:
                told.add(reason)
                yield reason
    for experiment in golden.manifest.experiments:
        if (reason := _count(candidate, experiment, is_whole=golden.is_whole)) is not None:
            yield reason
    if golden.artifact is not None and (reason := _compare_artifact(candidate, golden.artifact)) is not None:
        yield reason


def _ask(candidate: Candidate, question: Question, *, anew: bool) -> str | None:
    try:
        now = candidate.ask(question.method, question.path, anew, question.body)
        difference = find_difference(question.before(), now.json())
    except Unanswered as error:
        difference = str(error)
    return None if difference is None else f"{question.name}: {difference}"


def _count(candidate: Candidate, experiment: Experiment, *, is_whole: bool) -> str | None:
    """Of an experiment with very many runs, only so many are counted."""
    counted, token = 0, ""
    wanted = min(experiment.runs, _PAGE * _MOST_PAGES)
    try:
        for _ in range(_MOST_PAGES):
            search = {"experiment_ids": [experiment.id], "run_view_type": "ACTIVE_ONLY", "max_results": _PAGE}
            found = candidate.ask("POST", SEARCH_RUNS, body={**search, **({"page_token": token} if token else {})})
            page = found.json()
            counted += len(page.get("runs", []))
            token = page.get("next_page_token", "")
            if not token:
                break
    except Unanswered as error:
        return f"number of runs of {experiment.name}: {error}"
    except (AttributeError, TypeError):
        return f"number of runs of {experiment.name}: the answer is no page of runs"
    is_right = counted == wanted or (counted > wanted and not is_whole)
    return None if is_right else f"number of runs of {experiment.name}: {counted} instead of {wanted}"


def _compare_artifact(candidate: Candidate, artifact: Artifact) -> str | None:
    where = urlencode({"run_uuid": artifact.run_id, "path": artifact.path})
    try:
        content = candidate.ask("GET", f"/get-artifact?{where}").body
    except Unanswered as error:
        return f"artifact {artifact.path} of run {artifact.run_id}: {error}"
    if content == artifact.content:
        return None
    return f"artifact {artifact.path} of run {artifact.run_id}: its {len(content)} bytes are not those that it had"
