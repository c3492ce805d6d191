"""The Serving controllers: from a Service to running Revisions.

Each method reads the present objects, makes what should be, and writes the difference; running one twice changes
nothing. Deleted owners' children are removed by the collector.
"""

from knative_embedded import labels
from knative_embedded.admission.autoscaling import parse_scale
from knative_embedded.control import serving_status
from knative_embedded.control.children import (
    carry_over,
    make_configuration,
    make_revision,
    make_route,
    revision_name,
)
from knative_embedded.control.hosts import Addresses
from knative_embedded.control.revision_names import asked_name, is_taken
from knative_embedded.control.writer import Writer
from knative_embedded.kinds import CONFIGURATION, REVISION, ROUTE, SERVICE, Kind
from knative_embedded.objects import (
    Object,
    annotations_of,
    condition,
    copy_of,
    labels_of,
    meta,
    name_of,
    namespace_of,
    spec_of,
    uid_of,
)
from knative_embedded.pods.fleet import Fleet
from knative_embedded.pods.pod import Node
from knative_embedded.state.index import TARGET


class ServingControllers:
    """Reconciles Services, Configurations, Revisions and Routes."""

    def __init__(self, node: Node, fleet: Fleet, addresses: Addresses) -> None:
        self._store = node.store
        self._clock = node.clock
        self._fleet = fleet
        self._addresses = addresses
        self._writer = Writer(node.store)

    async def reconcile_service(self, service: Object) -> None:
        """The Service's Configuration and Route, and its status from theirs."""
        configuration = await self._ensure(CONFIGURATION, service, make_configuration(service))
        if configuration is not None and asked_name(configuration):
            existing = self._store.get(REVISION, namespace_of(service), asked_name(configuration))
            taken = is_taken(configuration, existing)
            if taken or not serving_status.is_observed(configuration):
                status = serving_status.make_held_status(service, configuration, taken=taken, now=self._clock())
                await self._writer.write_status(SERVICE, service, status)
                return
        route = await self._ensure(ROUTE, service, make_route(service))
        if configuration is not None and route is not None:
            status = serving_status.make_service_status(service, configuration, route, self._clock())
            await self._writer.write_status(SERVICE, service, status)

    async def _ensure(self, kind: Kind, owner: Object, wanted: Object) -> Object | None:
        """The child as wanted; None when somebody else's object stands in its place."""
        existing = self._store.get(kind, namespace_of(owner), name_of(wanted))
        if existing is None:
            return await self._store.create(kind, wanted)
        owners = {reference["uid"] for reference in meta(existing).get("ownerReferences") or []}
        if uid_of(owner) not in owners:
            return None
        return await self._writer.write(kind, existing, carry_over(existing, wanted))

    async def reconcile_configuration(self, configuration: Object) -> None:
        """The Revision of the present generation, and the status from all its Revisions."""
        namespace = namespace_of(configuration)
        existing = self._store.get(REVISION, namespace, revision_name(configuration))
        if is_taken(configuration, existing):
            status = serving_status.make_taken_status(configuration, self._clock())
            await self._writer.write_status(CONFIGURATION, configuration, status)
            return
        if existing is None:
            await self._store.create(REVISION, make_revision(configuration, self._clock()))
        owned = self._store.list(REVISION, namespace, (labels.CONFIGURATION, name_of(configuration)))
        status = serving_status.make_configuration_status(configuration, owned, self._clock())
        await self._writer.write_status(CONFIGURATION, configuration, status)

    async def reconcile_revision(self, revision: Object) -> None:
        """The status from the Revision's pods; a first pod where one is due."""
        runner = self._fleet.runner(namespace_of(revision), name_of(revision))
        if runner is None:
            return
        runner.observe(revision)
        facts = runner.facts()
        tried = condition(revision, "Ready").get("status") in {"True", "False"} or facts.started or facts.failure
        first_due = parse_scale(annotations_of(revision)).initial > 0 and not tried
        if facts.problem is None and (first_due or (runner.minimum and not facts.failure)):
            self._fleet.wake_soon(runner)
        status = serving_status.make_revision_status(revision, runner.facts(), self._clock())
        await self._writer.write_status(REVISION, revision, status)

    async def reconcile_route(self, route: Object) -> None:
        """The status from what the traffic points at, and on the Revisions whether traffic can reach them."""
        namespace = namespace_of(route)
        neighbours = serving_status.Neighbours(
            configuration=lambda name: self._store.get(CONFIGURATION, namespace, name),
            revision=lambda name: self._store.get(REVISION, namespace, name),
        )
        status = serving_status.make_route_status(route, neighbours, self._addresses, self._clock())
        await self._writer.write_status(ROUTE, route, status)
        await self._mark_routed(route, {target["revisionName"] for target in status.get("traffic") or []})

    async def _mark_routed(self, route: Object, routed: set[str]) -> None:
        """`routingState` says which Revisions can be reached: min-scale counts for those only."""
        targets = spec_of(route)["traffic"]
        configurations = {name_of(route)} | {one["configurationName"] for one in targets if "configurationName" in one}
        for name in sorted(configurations):
            for revision in self._store.list(REVISION, namespace_of(route), (labels.CONFIGURATION, name)):
                await self._mark(revision, is_routed=name_of(revision) in routed)

    async def _mark(self, revision: Object, *, is_routed: bool) -> None:
        latest = condition(revision, "Ready").get("status") != "True"
        state = "active" if is_routed or latest else "reserve"
        if labels_of(revision).get(labels.ROUTING_STATE) != state:
            marked = copy_of(revision)
            marked["metadata"]["labels"][labels.ROUTING_STATE] = state
            await self._writer.write(REVISION, revision, marked)

    def dependants(self, kind: Kind, thing: Object) -> list[tuple[Kind, str, str]]:
        """What has to be looked at again after a change of `thing`."""
        namespace, found = namespace_of(thing), []
        for reference in meta(thing).get("ownerReferences") or []:
            owner = next((one for one in (SERVICE, CONFIGURATION) if one.kind == reference["kind"]), None)
            if owner is not None:
                found.append((owner, namespace, reference["name"]))
        if kind in (CONFIGURATION, REVISION):
            configuration = labels_of(thing).get(labels.CONFIGURATION) or name_of(thing)
            for name in sorted({configuration, name_of(thing)}):
                routes = self._store.list(ROUTE, namespace, (TARGET, name))
                found.extend((ROUTE, namespace, name_of(route)) for route in routes)
        return found
