"""What is observed of Services, Configurations, Routes and Revisions, as their status. Pure.

Source: knative/serving pkg/apis/serving/v1/*_lifecycle.go for conditions, reasons and messages.
"""

import dataclasses
import datetime as dt
from collections.abc import Callable

from knative_embedded.admission.autoscaling import parse_scale
from knative_embedded.control.children import revision_name
from knative_embedded.control.conditions import (
    TRUE,
    UNKNOWN,
    Truth,
    Verdict,
    deny,
    doubt,
    make_conditions,
    make_status,
    read_verdict,
)
from knative_embedded.control.hosts import Addresses, local_url, route_url
from knative_embedded.control.revision_names import asked_name, latest_first, say_taken
from knative_embedded.objects import (
    Object,
    annotations_of,
    condition,
    generation_of,
    is_ready,
    name_of,
    namespace_of,
    spec_of,
    status_of,
)
from knative_embedded.pods.runner import Facts

_UNRESOLVED = ("kind.local/", "ko.local/", "dev.local/")


def make_revision_status(revision: Object, facts: Facts, now: dt.datetime) -> Object:
    """Ready once a pod has passed its probe, or at once with initial-scale 0; Active while a pod is there."""
    was_ready = condition(revision, "ResourcesAvailable").get("status") == "True"
    initialised = facts.started or was_ready or parse_scale(annotations_of(revision)).initial == 0
    available, healthy = TRUE, TRUE
    if facts.problem is not None:
        healthy = deny(facts.problem.reason, str(facts.problem))
        available = doubt("ResolvingDigests")
    elif facts.failure is not None:
        failed = deny(facts.failure.reason, str(facts.failure))
        healthy, available = failed, TRUE if initialised else doubt("Deploying")
        if not initialised and not facts.failure.reason.startswith("ExitCode"):
            healthy, available = doubt("Deploying"), failed
    elif not initialised:
        available, healthy = doubt("Deploying"), UNKNOWN
    dependents = {"ContainerHealthy": healthy, "ResourcesAvailable": available}
    if facts.problem is not None:
        return make_status(revision, make_conditions(revision, dependents, {}, now), {})
    active = TRUE if facts.awake else deny("NoTraffic", "The target is not receiving traffic.")
    if facts.wanted and not facts.awake:
        active = doubt("Queued", "Requests to the target are being buffered as resources are provisioned.")
    containers = spec_of(revision)["containers"]
    fields = {"containerStatuses": [_container_status(one) for one in containers]}
    status = make_status(revision, make_conditions(revision, dependents, {"Active": active}, now), fields)
    # Nobody has asked for a pod as long as a Revision that began asleep has not been woken.
    asked = facts.wanted or facts.started or "desiredReplicas" in status_of(revision)
    return status | {"actualReplicas": facts.awake} | ({"desiredReplicas": facts.wanted} if asked else {})


def _container_status(container: Object) -> Object:
    """Registries that Knative does not ask for digests have none here either."""
    image = str(container["image"])
    resolved = {} if image.startswith(_UNRESOLVED) else {"imageDigest": image}
    return {"name": container["name"], **resolved}


def make_configuration_status(configuration: Object, revisions: list[Object], now: dt.datetime) -> Object:
    """The latest created and the latest ready Revision, and whether they are the same."""
    created = revision_name(configuration)
    ready = _latest_ready(configuration, revisions)
    latest = next((one for one in revisions if name_of(one) == created), None)
    verdict = UNKNOWN
    if latest is not None:
        said = read_verdict(condition(latest, "Ready"))
        if said.truth is Truth.TRUE:
            verdict = TRUE
        elif said.truth is Truth.FALSE:
            verdict = deny("RevisionFailed", f'Revision "{created}" failed with message: {said.message.rstrip(".")}.')
    conditions = make_conditions(configuration, {"Ready": verdict}, {}, now)
    return make_status(
        configuration, conditions, {"latestCreatedRevisionName": created, "latestReadyRevisionName": ready}
    )


def make_taken_status(configuration: Object, now: dt.datetime) -> Object:
    """The template asks for the name of another Revision: nothing is created, and what was ready stays."""
    failed = deny("RevisionFailed", f"Revision creation failed with message: {say_taken(configuration)}.")
    before = status_of(configuration)
    kept = {name: before.get(name) for name in ("latestCreatedRevisionName", "latestReadyRevisionName")}
    return make_status(configuration, make_conditions(configuration, {"Ready": failed}, {}, now), kept)


def _latest_ready(configuration: Object, revisions: list[Object]) -> str:
    """The newest ready Revision; never one older than that of before, which stays also while it cannot start."""
    before = str(status_of(configuration).get("latestReadyRevisionName", ""))
    for one in latest_first(configuration, revisions):
        if is_ready(one) or name_of(one) == before:
            return name_of(one)
    return ""


@dataclasses.dataclass(frozen=True)
class Neighbours:
    """How a Route finds what it points at, by name in its own namespace."""

    configuration: Callable[[str], Object | None]
    revision: Callable[[str], Object | None]


_NO_TLS = Verdict(Truth.TRUE, "TLSNotEnabled", "external-domain-tls is not enabled")
_NO_INGRESS = doubt("IngressNotConfigured", "Ingress has not yet been reconciled.")


def make_route_status(route: Object, neighbours: Neighbours, addresses: Addresses, now: dt.datetime) -> Object:
    """The URL, the resolved traffic, and whether all of it is assigned; what cannot be assigned keeps the old."""
    resolved, verdict = [], TRUE
    for target in spec_of(route)["traffic"]:
        name, found = _resolve(target, neighbours)
        if found is not TRUE and verdict is TRUE:
            verdict = found
        resolved.append(_observed_target(route, target, name, addresses))
    if verdict is not TRUE:
        resolved = status_of(route).get("traffic") or []
    dependents = {
        "AllTrafficAssigned": verdict,
        "CertificateProvisioned": _NO_TLS if resolved else UNKNOWN,
        "IngressReady": TRUE if verdict is TRUE else _NO_INGRESS,
    }
    fields = {
        "url": route_url(addresses, route),
        "address": {"url": local_url(name_of(route), namespace_of(route))} if resolved else None,
        "traffic": resolved,
    }
    return make_status(route, make_conditions(route, dependents, {}, now), fields)


def _resolve(target: Object, neighbours: Neighbours) -> tuple[str, Verdict]:
    if target.get("revisionName"):
        return target["revisionName"], _judge_revision(target["revisionName"], neighbours)
    wanted = target.get("configurationName") or ""
    configuration = neighbours.configuration(wanted)
    if configuration is None:
        return "", deny("ConfigurationMissing", f'Configuration "{wanted}" referenced in traffic not found.')
    ready = status_of(configuration).get("latestReadyRevisionName", "")
    if ready:
        return str(ready), TRUE
    if condition(configuration, "Ready").get("status") == "False":
        return "", deny("RevisionMissing", f'Configuration "{wanted}" does not have any ready Revision.')
    return "", doubt("RevisionMissing", f'Configuration "{wanted}" is waiting for a Revision to become ready.')


def _judge_revision(name: str, neighbours: Neighbours) -> Verdict:
    revision = neighbours.revision(name)
    if revision is None:
        return deny("RevisionMissing", f'Revision "{name}" referenced in traffic not found.')
    truth = read_verdict(condition(revision, "Ready")).truth
    if truth is Truth.FALSE:
        return deny("RevisionMissing", f'Revision "{name}" failed to become ready.')
    return TRUE if truth is Truth.TRUE else doubt("RevisionMissing", f'Revision "{name}" is not yet ready.')


def _observed_target(route: Object, target: Object, revision: str, addresses: Addresses) -> Object:
    made: Object = {"revisionName": revision, "latestRevision": not target.get("revisionName")}
    if target.get("percent") is not None:
        made["percent"] = target["percent"]
    if target.get("tag"):
        made["tag"] = target["tag"]
        made["url"] = route_url(addresses, route, target["tag"])
    return made


def make_service_status(service: Object, configuration: Object, route: Object, now: dt.datetime) -> Object:
    """What Configuration and Route say, and that the traffic has reached the latest ready Revision."""
    routed = read_verdict(condition(route, "Ready"))
    configured = _judge_configuration(configuration)
    if not is_observed(route):
        routed = doubt("OutOfDate", "The Route is still working to reflect the latest desired specification.")
    elif routed.truth is Truth.TRUE:
        latest = status_of(configuration).get("latestReadyRevisionName")
        floating = [one for one in status_of(route).get("traffic") or [] if one.get("latestRevision")]
        if configured.truth is Truth.TRUE and any(one["revisionName"] != latest for one in floating):
            routed = doubt("TrafficNotMigrated", "Traffic is not yet migrated to the latest revision.")
    return _make_service_status(service, configuration, status_of(route), (routed, configured), now)


def make_held_status(service: Object, configuration: Object, *, taken: bool, now: dt.datetime) -> Object:
    """The Route is left as it is: the Configuration has not come to the name that its template asks for, or that name
    is `taken` by another Revision.
    """
    name = asked_name(configuration)
    words = f'The revision name "{name}" is taken by a conflicting Revision, so traffic will not be migrated'
    routed = deny("RevisionNameTaken", words) if taken else read_verdict(condition(service, "RoutesReady"))
    verdicts = routed, _judge_configuration(configuration)
    return _make_service_status(service, configuration, status_of(service), verdicts, now)


def _judge_configuration(configuration: Object) -> Verdict:
    if not is_observed(configuration):
        return doubt("OutOfDate", "The Configuration is still working to reflect the latest desired specification.")
    return read_verdict(condition(configuration, "Ready"))


def is_observed(thing: Object) -> bool:
    """Whether the status is of the present spec."""
    return bool(status_of(thing).get("observedGeneration") == generation_of(thing))


def _make_service_status(
    service: Object, configuration: Object, routed: Object, verdicts: tuple[Verdict, Verdict], now: dt.datetime
) -> Object:
    # The Route speaks first where both fail at once, as on a cluster, where it is reconciled last.
    dependents = dict(zip(("RoutesReady", "ConfigurationsReady"), verdicts, strict=True))
    fields = {
        "url": routed.get("url"),
        "address": routed.get("address"),
        "traffic": routed.get("traffic"),
        "latestCreatedRevisionName": status_of(configuration).get("latestCreatedRevisionName"),
        "latestReadyRevisionName": status_of(configuration).get("latestReadyRevisionName"),
    }
    return make_status(service, make_conditions(service, dependents, {}, now), fields)
