"""From the Service to what a physicist sees: can Knative serve it, does it wake, are runs there."""

import json
from collections.abc import Iterator

from bigpanda_mlflow.taskservice import read_readiness
from bigpanda_ops.case import Case, read_condition
from bigpanda_ops.findings import Finding, Stage, passed, unreachable, wrong
from bigpanda_ops.outcomes import Unreachable
from bigpanda_ops.page import PageAnswer
from bigpanda_ops.plain_words import explain
from bigpanda_ops.web import ask

_SEARCH = "/ajax-api/2.0/mlflow/runs/search"
_STILL = "; the page still shows the Revision before it"
_HANGS = {
    "starting": "has not begun to look for its snapshot",
    "loading": "does not get its snapshot and MLflow loaded",
    "failed": "cannot show its results",
    "waiting_for_snapshot": "waits for its snapshot",
}


def check_service(case: Case) -> Iterator[Finding]:
    """Whether Knative says that the Service can be served."""
    assert case.raw is not None
    readiness = read_readiness(case.raw)
    if readiness.status == "True" or case.is_served:
        yield passed(Stage.SERVICE, f"{case.name} is served at {case.url}")
        return
    said = explain(readiness.reason, case.namespace, case.name)
    if readiness.status == "False":
        yield wrong(Stage.SERVICE, f"the page cannot be served: {said.text}", said.advice)
    else:
        yield wrong(
            Stage.SERVICE, f"the page is not ready yet: {said.text}", f"wait a minute; if it lasts, {said.advice}"
        )


def check_revisions(case: Case) -> Iterator[Finding]:
    """Whether the Revisions that are asked for can start, the newest one too."""
    assert case.raw is not None
    status = case.raw.get("status", {})
    routed = {one["revisionName"]: one.get("percent") or 0 for one in reversed(status.get("traffic") or [])}
    for name in (*routed, status.get("latestCreatedRevisionName", "")):
        condition = read_condition(case.revisions.get(name, {}), "Ready")
        if condition.get("status") == "False":
            said = explain(condition.get("message") or condition.get("reason") or "", case.namespace, case.name)
            serving = "" if routed.get(name) else _STILL
            yield wrong(Stage.REVISION, f"its Revision {name} cannot start: {said.text}{serving}", said.advice)
            return
    missing = read_condition(case.raw, "RoutesReady")
    if missing.get("status") == "False":
        said = explain(missing.get("message") or "", case.namespace, case.name)
        yield wrong(Stage.REVISION, f"{said.text}{_STILL}", said.advice)
        return
    shares = ", ".join(f"{name} ({percent} %)" for name, percent in routed.items() if percent)
    yield passed(Stage.REVISION, f"traffic goes to {shares}; it was {'awake' if case.was_awake else 'asleep'}")


def check_wake(case: Case) -> Iterator[Finding]:
    """Whether the page wakes in time."""
    page = case.page
    if page is None:
        yield passed(Stage.WAKE, "left as it is: it wakes when somebody opens it")
    elif page.status == 200:
        yield passed(Stage.WAKE, f"it answered with MLflow {page.mlflow} after {page.seconds:.1f} s")
    elif page.stage == "unreachable":
        advice = "check its DNS name, the ingress and the network between here and there"
        yield unreachable(Stage.WAKE, page.reason, advice)
    elif not _has_nothing_to_show(case, page):
        yield _blame_wake(case, page)
    else:
        yield passed(Stage.WAKE, f"it answered after {page.seconds:.1f} s")


def _has_nothing_to_show(case: Case, page: PageAnswer) -> bool:
    """A snapshot without runs keeps the page waiting, and that is no fault of the page."""
    return page.stage == "waiting_for_snapshot" and bool(case.published) and not case.published[0].runs


def _blame_wake(case: Case, page: PageAnswer) -> Finding:
    logs = f"kubectl -n {case.namespace} logs -l serving.knative.dev/service={case.name} -c mlflow"
    because = f": {page.reason.rstrip('.')}" if page.reason else ""
    if page.is_ours:
        hangs = _HANGS.get(page.stage, f"is in stage {page.stage}")
        text = f"it woke, but {hangs} (stage {page.stage}, {page.seconds:.0f} s{because})"
        return wrong(Stage.WAKE, text, f"its log says what it tried: {logs}")
    if page.status is None:
        text = f"it does not wake in time{because}"
        return wrong(Stage.WAKE, text, f"see whether its pod starts: kubectl -n {case.namespace} get pods; {logs}")
    if page.status == 404:
        advice = f"see what the ingress was told: kubectl -n {case.namespace} get routes,kingresses {case.name} -o yaml"
        return wrong(Stage.WAKE, f"the ingress does not know its host{because}", advice)
    return wrong(
        Stage.WAKE, f"it does not wake: the ingress answers {page.status}{because}", f"its log may tell: {logs}"
    )


def check_data(case: Case) -> Iterator[Finding]:
    """Whether MLflow shows the runs that the snapshot holds."""
    manifest = case.published[0].manifest if case.published else None
    if manifest is None:
        return
    if not manifest.runs:
        text = f"the snapshot holds no run: none of {len(manifest.sources)} tarballs has an evaluated point in it"
        yield wrong(Stage.DATA, text, "look into one: tar tzf shows mlruns/… where a point was evaluated")
        return
    if case.page is None:
        yield passed(Stage.DATA, f"{manifest.runs} runs to show")
        return
    ids = [experiment.id for experiment in manifest.experiments]
    body = json.dumps({"experiment_ids": ids, "max_results": 1}).encode()
    try:
        answer = ask("POST", f"{case.url}{_SEARCH}", headers={"content-type": "application/json"}, body=body)
        runs = json.loads(answer.text).get("runs", []) if answer.status_code == 200 else []
    except (TimeoutError, Unreachable, ValueError) as error:
        yield wrong(Stage.DATA, f"MLflow does not list the runs: {error}", "open the page again, and read its log")
        return
    if runs:
        yield passed(Stage.DATA, f"MLflow lists them; {manifest.runs} runs to look at")
    else:
        text = f"the snapshot holds {manifest.runs} runs and MLflow lists none (HTTP {answer.status_code})"
        yield wrong(Stage.DATA, text, "read the page's log; a newer snapshot may be on its way: look again in a minute")
