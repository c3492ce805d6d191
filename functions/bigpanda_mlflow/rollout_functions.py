"""The functions that run in MLflow's image, through a rollout: `ingest` and `sweep`.

`ingest` writes what pages of the same image read, so the new image's is put beside the present one first: with 0 %,
and a tag by which the rollout has each page's snapshot made before that page is woken. While pages of two images stand,
a snapshot that one ingest published is made by the other as well, for the pages that need it (`mirror`). When the fleet
is through, both functions change over. Of an image that was superseded on its way there is no ingest any more: the
pages that have it get news again when the newer image comes to them.

Traffic of a function is not pinned for longer than a rollout lasts: what a deployment changes then takes effect again.
The template gets no name, for it is the deployment's, which may change it at any time.
"""

from collections.abc import Callable
from typing import Final

from bigpanda_mlflow.cluster_fleet import Fleet
from bigpanda_mlflow.context import Context
from bigpanda_mlflow.errors import ClusterConflict, Transient
from bigpanda_mlflow.inside import door_of, have_ingested
from bigpanda_mlflow.names import INGEST, SWEEP
from bigpanda_mlflow.rollout_services import image_of, set_image
from bigpanda_mlflow.rollout_state import Rollout
from bigpanda_mlflow.traffic import (
    CANDIDATE,
    PREVIOUS,
    Resource,
    current_revision,
    make_function_traffic,
    tagged_revision,
)

_READY_SECONDS: Final = 30.0
_INGEST_SECONDS: Final = 240.0
_WRITES: Final = 20


def put_beside(service: Resource, image: str) -> Resource:
    """`ingest` with the new image as its candidate; as it was, if it has that image already."""
    if image_of(service) == image and floats(service):
        return service
    return _with(service, image, make_function_traffic(current=current_revision(service)))


def put_in_place(service: Resource, image: str) -> Resource:
    """A function with the new image in all of its traffic, what `ingest` had before as `previous`."""
    if image_of(service) == image and floats(service):
        return service
    former = "" if floats(service) else current_revision(service)
    return _with(service, image, make_function_traffic(beside=former, tag=PREVIOUS))


def put_back(service: Resource, image: str, *, keep: bool) -> Resource:
    """A function with the former image in all of its traffic; the candidate stays for the pages that it serves, with
    `keep`.
    """
    if image_of(service) == image and floats(service):
        return service
    beside = tagged_revision(service, CANDIDATE) if keep else ""
    return _with(service, image, make_function_traffic(beside=beside))


def floats(service: Resource) -> bool:
    """Whether most traffic follows the latest Revision."""
    targets = service["spec"].get("traffic") or [{"latestRevision": True, "percent": 100}]
    return bool(max(targets, key=lambda target: target.get("percent") or 0).get("latestRevision"))


def prepare(context: Context, rollout: Rollout) -> str | None:
    """Puts the new image's ingest beside the present one; None once it can be asked, else what it waits for."""
    _change(context, INGEST, lambda service: put_beside(service, rollout.image))
    readiness = context.cluster.wait_until_ready(INGEST, _READY_SECONDS)
    return None if readiness.status == "True" else f"the new image's ingest is not ready: {readiness.reason}"


def complete(context: Context, rollout: Rollout) -> None:
    """Changes the functions over to the new image."""
    for name in (INGEST, SWEEP):
        _change(context, name, lambda service: put_in_place(service, rollout.image))


def revert(context: Context, rollout: Rollout, *, keep: bool) -> None:
    """Gives the functions their former image back."""
    for name in (INGEST, SWEEP):
        _change(context, name, lambda service: put_back(service, rollout.stable_image, keep=keep))


def mirror(context: Context, fleet: Fleet, jeditaskid: int, cause: str) -> None:
    """Has a task's snapshot made by the other ingest too, where its page runs another image than the one that
    published. Raises Transient where asking again may help.
    """
    page, ingest = context.read(jeditaskid).raw, context.cluster.get_service(INGEST)
    if page is None or ingest is None:
        return
    needed = {fleet.get_image(name) for name in _revisions(page, aside=CANDIDATE).values()} - {None}
    for tag, name in _revisions(ingest, aside="").items():
        if tag in {CANDIDATE, PREVIOUS} and fleet.get_image(name) in needed:
            have_ingested(door_of(INGEST, tag, context.settings), jeditaskid, cause, context.now(), _INGEST_SECONDS)


def _revisions(service: Resource, aside: str) -> dict[str, str]:
    """Revisions by tag: those with traffic, and for a page the candidate, which is about to be looked at."""
    targets = service.get("status", {}).get("traffic") or []
    return {
        str(target.get("tag", "")): str(target.get("revisionName", ""))
        for target in targets
        if not aside or target.get("percent") or target.get("tag") == aside
    }


def _with(service: Resource, image: str, traffic: list[Resource]) -> Resource:
    template = set_image(service["spec"]["template"], image)
    metadata = {key: value for key, value in template.get("metadata", {}).items() if key != "name"}
    return {**service, "spec": {**service["spec"], "template": {**template, "metadata": metadata}, "traffic": traffic}}


def _change(context: Context, name: str, change: Callable[[Resource], Resource]) -> None:
    for _ in range(_WRITES):
        service = context.cluster.get_service(name)
        if service is None:
            raise Transient(f"there is no Service {name}: apply this project's manifests")
        changed = change(service)
        if changed == service:
            return
        try:
            context.cluster.replace_service(changed)
        except ClusterConflict:
            continue
        return
    raise Transient(f"{name} keeps changing")
