"""One Service through a rollout: from what was read to what is to be written, each a pure function of the whole object.

Promises: template, traffic and annotation change in one write, so that a crash leaves the Service before or after a
step, never between; traffic names Revisions, so that nothing moves by itself; all that a rollout does not decide stays
as it was read. A Revision's name holds the Service's next generation, so no name is ever used for two templates.
"""

from dataclasses import replace
from datetime import datetime

from bigpanda_mlflow import labels
from bigpanda_mlflow.rollout_state import Rollout, ServicePhase, ServiceState, read_state, write_state
from bigpanda_mlflow.traffic import Resource, current_revision, make_traffic

_KNATIVE_S = "serving.knative.dev/"


def state_of(service: Resource) -> ServiceState | None:
    """What the Service's annotation says."""
    return read_state(service["metadata"].get("annotations", {}).get(labels.ROLLOUT))


def image_of(service: Resource) -> str:
    """The image of the Service's template."""
    return str(service["spec"]["template"]["spec"]["containers"][0]["image"])


def begin(service: Resource, rollout: Rollout, now: datetime) -> Resource:
    """The Service with a candidate beside its current Revision; for one that has none ready, a note that it failed."""
    name, current = service["metadata"]["name"], current_revision(service)
    state = ServiceState(
        rollout.name, ServicePhase.CANDIDATE, now, cohort=rollout.cohort, round=rollout.round, current=current
    )
    if not current:
        return _note(service, replace(state, phase=ServicePhase.FAILED, reason="has no Revision that is ready"))
    candidate = f"{name}-{rollout.image.rpartition(':')[2][:8]}-{service['metadata']['generation'] + 1}"
    state = replace(state, candidate=candidate)
    template = _make_template(service, candidate, rollout.image)
    return _write(service, state, template, make_traffic(current, candidate=candidate))


def shift(service: Resource, state: ServiceState, percent: int, now: datetime) -> Resource:
    """The Service with that much of its traffic at the candidate; with 100 the candidate is `current`."""
    if percent < 100:
        moved = replace(state, phase=ServicePhase.SHIFTING, percent=percent, since=now, attempts=0)
        return _write(service, moved, None, make_traffic(state.current, candidate=state.candidate, percent=percent))
    done = replace(
        state,
        phase=ServicePhase.PROMOTED,
        percent=100,
        since=now,
        attempts=0,
        current=state.candidate,
        previous=state.current,
        candidate="",
        reason=None,
    )
    return _write(service, done, None, make_traffic(done.current, previous=done.previous))


def goal_of_retreat(state: ServiceState) -> str:
    """The Revision that all traffic goes back to."""
    return state.previous if state.phase is ServicePhase.PROMOTED else state.current


def retreat(service: Resource, revision: Resource, reason: str, now: datetime, *, fails: bool) -> Resource:
    """The Service with all traffic at `revision`, and its template that Revision's own, so that Knative makes no other.

    Knative takes a template that names a standing Revision of the same spec for that Revision (knative/serving,
    pkg/reconciler/configuration: CheckNameAvailability).
    """
    state = state_of(service)
    assert state is not None  # only what has a state can go back
    phase = ServicePhase.FAILING if fails else ServicePhase.RETURNING
    name = revision["metadata"]["name"]
    leaving = state.current if state.phase is ServicePhase.PROMOTED else state.candidate
    back = replace(
        state,
        phase=phase,
        since=now,
        current=name,
        previous="",
        candidate=leaving,
        percent=0,
        reason=reason,
        attempts=0,
    )
    metadata = {
        "name": name,
        "labels": _own(revision["metadata"].get("labels", {})),
        "annotations": _own(revision["metadata"].get("annotations", {})),
    }
    return _write(service, back, {"metadata": metadata, "spec": revision["spec"]}, make_traffic(name))


def make_anew(service: Resource, rollout: Rollout, reason: str, now: datetime) -> Resource:
    """The Service of a page that was made with the rollout's image: there is no Revision that it could go back to, so
    it gets one of the stable image, and all traffic goes there as soon as it is ready.
    """
    name, leaving = service["metadata"]["name"], current_revision(service)
    stable = f"{name}-stable-{service['metadata']['generation'] + 1}"
    state = ServiceState(
        rollout.name,
        ServicePhase.RETURNING,
        now,
        cohort=rollout.cohort,
        round=rollout.round,
        current=stable,
        candidate=leaving,
        reason=reason,
    )
    return _write(service, state, _make_template(service, stable, rollout.stable_image), make_traffic(stable))


def settle(service: Resource, state: ServiceState, now: datetime) -> Resource:
    """The Service once what it left behind is deleted."""
    failed = state.phase is ServicePhase.FAILING
    phase = ServicePhase.FAILED if failed else ServicePhase.RETURNED
    return _note(service, replace(state, phase=phase, candidate="", since=now))


def fail_where_it_is(service: Resource, state: ServiceState, reason: str) -> Resource:
    """The Service that cannot go back: it stays with what it has."""
    return _note(service, replace(state, phase=ServicePhase.FAILED, reason=reason))


def note_attempt(service: Resource, state: ServiceState, reason: str, now: datetime) -> Resource:
    """The Service with one more attempt that said nothing about its candidate."""
    return _note(service, replace(state, attempts=state.attempts + 1, reason=reason, since=now))


def needed_revisions(service: Resource) -> set[str]:
    """The Revisions that must stay: what is routed or to be, the template's, and those that the state names."""
    state = state_of(service)
    traffic = [*(service["spec"].get("traffic") or []), *(service.get("status", {}).get("traffic") or [])]
    status, template = service.get("status", {}), service["spec"]["template"].get("metadata", {})
    names = {str(target.get("revisionName", "")) for target in traffic} | {str(template.get("name", ""))}
    if not template.get("name"):
        names.add(str(status.get("latestCreatedRevisionName", "")))
    if state is not None and state.phase not in {ServicePhase.FAILING, ServicePhase.RETURNING}:
        names.add(state.candidate)
    return names | ({state.current, state.previous} if state is not None else set())


def set_image(template: Resource, image: str) -> Resource:
    """The template with that image."""
    first, *others = template["spec"]["containers"]
    return {**template, "spec": {**template["spec"], "containers": [{**first, "image": image}, *others]}}


def _make_template(service: Resource, revision: str, image: str) -> Resource:
    template = set_image(service["spec"]["template"], image)
    metadata = template.get("metadata", {})
    # Asleep at first: its snapshot is made before it is woken.
    annotations = {**metadata.get("annotations", {}), labels.INITIAL_SCALE: "0"}
    return {**template, "metadata": {**metadata, "name": revision, "annotations": annotations}}


def _own(entries: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in entries.items() if not key.startswith(_KNATIVE_S)}


def _write(service: Resource, state: ServiceState, template: Resource | None, traffic: list[Resource]) -> Resource:
    spec = {**service["spec"], "template": template or service["spec"]["template"], "traffic": traffic}
    return _note({**service, "spec": spec}, state)


def _note(service: Resource, state: ServiceState) -> Resource:
    metadata = service["metadata"]
    annotations = {**metadata.get("annotations", {}), labels.ROLLOUT: write_state(state)}
    return {**service, "metadata": {**metadata, "annotations": annotations}}
