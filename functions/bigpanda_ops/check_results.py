"""From the event to a snapshot: was the task asked for, are its tarballs there, were they read, is anything to show."""

import json
from collections import Counter
from collections.abc import Collection, Iterator

from bigpanda_mlflow.times import format_time
from bigpanda_mlflow.tombstones import tell
from bigpanda_ops.case import Case
from bigpanda_ops.findings import Finding, Stage, passed, unreachable, wrong
from bigpanda_ops.snapshots import Published
from mlflow_on_demand.errors import AccessDenied, ObjectMissing, OnDemandError, StoreUnavailable
from mlflow_on_demand.reading import find_reading
from mlflow_on_demand.snapshot import Lost, Source, open_snapshot_store
from mlflow_on_demand.sources import find_tarballs

_MOST_REASONS = 3


def check_event(case: Case) -> Iterator[Finding]:
    """Whether the task was asked for, and is to stay."""
    service, stone = case.service, case.tombstone
    again = f"if it shall be seen again, ask for it: bigpanda-mlflow send visualize {case.jeditaskid} …"
    if case.raw is None:
        yield _gone(case, again)
    elif service is None:
        text = f"a Service {case.name} exists that this platform did not make"
        yield wrong(Stage.EVENT, text, "whoever made it has to give the name free")
    elif stone is not None and service.last <= stone.last:
        yield wrong(Stage.EVENT, f"{tell(stone)}, and its Service is being removed", again)
    elif service.expires_at is not None and service.expires_at <= case.now:
        text = f"its lifetime was over at {format_time(service.expires_at)}; `expire` removes it with its next run"
        yield wrong(Stage.EVENT, text, again)
    else:
        until = "for ever" if service.expires_at is None else f"until {format_time(service.expires_at)}"
        yield passed(Stage.EVENT, f"asked for at {format_time(service.last.time)}, to stay {until}")


def _gone(case: Case, again: str) -> Finding:
    if case.tombstone is not None:
        return wrong(Stage.EVENT, tell(case.tombstone), again)
    if refusal := _find_refusal(case, "visualize") or _find_refusal(case, "front"):
        text = f"its event was refused: {refusal}"
        return wrong(Stage.EVENT, text, "have the sender put that right and send the event again, with a new id")
    advice = (
        f"ask for it: bigpanda-mlflow send visualize {case.jeditaskid} …; if somebody has, look for the event in the "
        "broker's dead letters"
    )
    return wrong(Stage.EVENT, "nobody has asked for this task's page, or it ended long ago", advice)


def check_ingest(case: Case) -> Iterator[Finding]:
    """Whether its tarballs are there and were read."""
    try:
        published = case.published
    except OnDemandError as error:
        yield _blame_store(Stage.INGEST, f"the snapshot store {case.connection.snapshot_store}", error)
        return
    best = published[0] if published else None
    if best is not None and best.manifest is not None and best.runs:
        lost = f", {len(best.manifest.lost)} could not be used" if best.manifest.lost else ""
        yield passed(Stage.INGEST, f"{len(best.manifest.sources)} tarballs are read{lost}")
        return
    try:
        present = _list_sources(case)
    except OnDemandError as error:
        yield _blame_store(Stage.INGEST, f"the store of its tarballs ({_places(case)})", error)
        return
    yield _judge_sources(case, best, present)


def _judge_sources(case: Case, best: Published | None, present: Collection[Source]) -> Finding:
    if not present:
        text = f"there is no metrics tarball of this task at {_places(case)}"
        advice = (
            f"check the place, and that files there are called [<segment>.]{case.jeditaskid}.metrics.<serial>.tgz; "
            "another place: send visualize again with it"
        )
        return wrong(Stage.INGEST, text, advice)
    known = None if best is None else best.manifest
    if known is None or set(present) - set(known.sources) - _lost_sources(present, known.lost):
        return _not_ingested(case, best, present)
    if known.lost:
        text = f"none of its {len(present)} tarballs could be used: {_tell_lost(known.lost)}"
        return wrong(Stage.INGEST, text, "have the task's owner look at what the jobs wrote; whole files are read anew")
    return passed(Stage.INGEST, f"{len(known.sources)} tarballs are read")


def _lost_sources(present: Collection[Source], lost: tuple[Lost, ...]) -> set[Source]:
    names = {one.name for one in lost}
    return {source for source in present if source.name in names}


def _not_ingested(case: Case, best: Published | None, present: Collection[Source]) -> Finding:
    again = f"have it tried again: bigpanda-mlflow send results {case.jeditaskid}"
    if best is not None and best.manifest is None:
        return wrong(Stage.INGEST, f"its snapshot ({best.schema}) cannot be read: {best.reason}", again)
    if refusal := _find_refusal(case, "ingest"):
        return wrong(Stage.INGEST, f"its {len(present)} tarballs are not read, as ingest refused: {refusal}", again)
    if progress := _find_progress(case):
        return wrong(Stage.INGEST, f"its tarballs are being read: {progress}", "wait, and look again in a minute")
    text = f"{len(present)} of its tarballs are there and not read"
    logs = f"kubectl -n {case.namespace} logs -l serving.knative.dev/service=ingest"
    return wrong(Stage.INGEST, text, f"{again}; if it stays so, the log of ingest says why: {logs}")


def _find_progress(case: Case) -> str:
    """How far an ingest is, which writes it beside where the manifest will be."""
    for schema in {entry.partition("/")[0] for entry in case.keys if entry.endswith("/reading.json")}:
        reading = find_reading(open_snapshot_store(case.connection.snapshot_store, case.jeditaskid, schema))
        if reading is not None:
            return f"{reading.read} of {reading.tarballs}"
    return ""


def check_snapshot(case: Case) -> Iterator[Finding]:
    """Whether the snapshot is one that the page's image reads."""
    readable = [one for one in case.published if one.manifest is not None]
    newest = readable[0] if readable else None
    if newest is None or newest.manifest is None:
        return
    manifest, page = newest.manifest, case.page
    if page is not None and page.stage == "waiting_for_snapshot" and newest.runs:
        made_for = ", ".join(f"MLflow {one.manifest.mlflow_version} ({one.schema})" for one in readable if one.manifest)
        text = f"there are snapshots for {made_for}, but none for the schema that the page's image reads"
        advice = (
            "its Revision and the function ingest run different images: finish or roll back the rollout, then "
            f"bigpanda-mlflow send results {case.jeditaskid}"
        )
        yield wrong(Stage.SNAPSHOT, text, advice)
        return
    text = f"{manifest.runs} runs, {manifest.points} points, for MLflow {manifest.mlflow_version}"
    yield passed(Stage.SNAPSHOT, f"{text}, published at {format_time(newest.at)}")


def _list_sources(case: Case) -> Collection[Source]:
    artifacts = () if case.service is None else case.service.artifacts
    return find_tarballs(case.jeditaskid, artifacts).sources


def _places(case: Case) -> str:
    artifacts = () if case.service is None else case.service.artifacts
    return ", ".join(artifacts) or "no place at all"


def _blame_store(stage: Stage, what: str, error: OnDemandError) -> Finding:
    match error:
        case AccessDenied():
            advice = "let the credentials of Secret bigpanda-mlflow-stores list and read there, or renew them"
            return wrong(stage, f"{what} denies access: {error}", advice)
        case ObjectMissing():
            return wrong(stage, f"{what} does not exist: {error}", "check its name in the event and in the settings")
        case StoreUnavailable():
            advice = (
                "if the cluster reaches it (the logs of ingest tell), look from where it can be reached; else tell its "
                "operators: ingest goes on by itself"
            )
            return unreachable(stage, f"{what} does not answer: {error}", advice)
        case _:
            return wrong(stage, f"{what} cannot be used: {error}", "check its URI in the event and in the settings")


def _tell_lost(lost: tuple[Lost, ...]) -> str:
    counted = Counter(one.reason for one in lost).most_common()
    told = "; ".join(f"{number} of them: {reason}" for reason, number in counted[:_MOST_REASONS])
    more = len(counted) - _MOST_REASONS
    return told if more <= 0 else f"{told}; and {more} more reasons"


def _find_refusal(case: Case, function: str) -> str:
    """The last refusal of an event of this task in what is left of a function's log."""
    for line in reversed(case.read_log(function)):
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if isinstance(said, dict) and said.get("subject") == str(case.jeditaskid) and "status" in said:
            field = f" (field {said['field']})" if said.get("field") else ""
            return f"{str(said.get('message', '')).removeprefix('refused: ')}{field}, at {said.get('time')}"
    return ""
