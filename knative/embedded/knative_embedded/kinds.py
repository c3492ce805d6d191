"""Which resources are served, under which names, with which columns.

The printer columns are those of Kubernetes' own printers and of the Knative CRDs
(config/core/300-resources in knative/serving, config/core/resources in knative/eventing).
"""

import dataclasses
import datetime as dt
from collections.abc import Callable
from typing import Any

from knative_embedded import ages
from knative_embedded.objects import Object, condition, labels_of, meta, spec_of, status_of

Cell = Callable[[Object, dt.datetime], Any]


@dataclasses.dataclass(frozen=True)
class Column:
    """One column of a Table response."""

    name: str
    cell: Cell
    type: str = "string"
    format: str = ""
    priority: int = 0


@dataclasses.dataclass(frozen=True)
class Kind:
    """A resource of the API."""

    group: str
    version: str
    plural: str
    singular: str
    kind: str
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    namespaced: bool = True
    has_status: bool = False
    """Whether it has a status subresource and a generation."""
    read_only: bool = False
    """Whether only the runtime writes it; such objects live in memory."""
    columns: tuple[Column, ...] = ()

    @property
    def api_version(self) -> str:
        """`v1`, or `group/version`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """`configmaps`, or `services.serving.knative.dev`: the name in errors and the key in the store."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def qualified_kind(self) -> str:
        """`ConfigMap`, or `Service.serving.knative.dev`."""
        return f"{self.kind}.{self.group}" if self.group else self.kind


def _name(thing: Object, _now: dt.datetime) -> Any:
    return meta(thing).get("name", "")


def _age(thing: Object, now: dt.datetime) -> str:
    return ages.since(str(meta(thing).get("creationTimestamp", "")), now)


def _at(*path: str) -> Cell:
    def cell(thing: Object, _now: dt.datetime) -> Any:
        found: Any = thing
        for step in path:
            found = found.get(step) if isinstance(found, dict) else None
        return found

    return cell


def _label(key: str) -> Cell:
    return lambda thing, _now: labels_of(thing).get(key)


def _ready(field: str) -> Cell:
    return lambda thing, _now: condition(thing, "Ready").get(field)


def _count(field: str) -> Cell:
    return lambda thing, _now: len(thing.get(field) or {})


def _data_count(thing: Object, _now: dt.datetime) -> int:
    return len(thing.get("data") or {}) + len(thing.get("binaryData") or {})


def _pod_ready(thing: Object, _now: dt.datetime) -> str:
    ready = sum(bool(one.get("ready")) for one in status_of(thing).get("containerStatuses") or [])
    return f"{ready}/{len(spec_of(thing).get('containers') or [])}"


def _pod_status(thing: Object, _now: dt.datetime) -> Any:
    return "Terminating" if meta(thing).get("deletionTimestamp") else status_of(thing).get("phase", "")


def _last_seen(thing: Object, now: dt.datetime) -> str:
    return ages.since(str(thing.get("lastTimestamp") or meta(thing).get("creationTimestamp", "")), now)


def _involved(thing: Object, _now: dt.datetime) -> str:
    involved = thing.get("involvedObject") or {}
    return f"{str(involved.get('kind', '')).lower()}/{involved.get('name', '')}"


NAME = Column("Name", _name, format="name")
AGE = Column("Age", _age)
CR_AGE = Column("Age", _age, type="date")
READY = (Column("Ready", _ready("status")), Column("Reason", _ready("reason")))
_EVENT_COLUMNS = (
    Column("Last Seen", _last_seen),
    Column("Type", _at("type")),
    Column("Reason", _at("reason")),
    Column("Object", _involved),
    Column("Source", _at("source", "component"), priority=1),
    Column("Message", lambda thing, _now: str(thing.get("message", "")).strip()),
    Column("Count", _at("count"), type="integer", priority=1),
    Column("Name", _name, format="name", priority=1),
)
_POD_COLUMNS = (
    NAME,
    Column("Ready", _pod_ready),
    Column("Status", _pod_status),
    Column("Restarts", lambda _thing, _now: "0"),
    AGE,
    Column("IP", _at("status", "podIP"), priority=1),
)
_GENERATION = "serving.knative.dev/configurationGeneration"
_REVISION_COLUMNS = (
    NAME,
    Column("Config Name", _label("serving.knative.dev/configuration")),
    Column("Generation", _label(_GENERATION)),
    *READY,
    Column("Actual Replicas", _at("status", "actualReplicas"), type="integer"),
    Column("Desired Replicas", _at("status", "desiredReplicas"), type="integer"),
)
_LATEST = (
    Column("LatestCreated", _at("status", "latestCreatedRevisionName")),
    Column("LatestReady", _at("status", "latestReadyRevisionName")),
)
_URL = Column("URL", _at("status", "url"))
_SECRET_COLUMNS = (NAME, Column("Type", _at("type")), Column("Data", _count("data"), type="integer"), AGE)
_TRIGGER_COLUMNS = (
    NAME,
    Column("Broker", _at("spec", "broker")),
    Column("Subscriber_URI", _at("status", "subscriberUri")),
    CR_AGE,
    *READY,
)
_PING_COLUMNS = (
    NAME,
    Column("Sink", _at("status", "sinkUri")),
    Column("Schedule", _at("spec", "schedule")),
    CR_AGE,
    *READY,
)
_SERVING = ("serving.knative.dev", "v1")
_ALL = ("all", "knative", "serving")

NAMESPACE = Kind(
    "", "v1", "namespaces", "namespace", "Namespace", ("ns",), namespaced=False,
    columns=(NAME, Column("Status", _at("status", "phase")), AGE),
)  # fmt: skip
CONFIG_MAP = Kind(
    "", "v1", "configmaps", "configmap", "ConfigMap", ("cm",),
    columns=(NAME, Column("Data", _data_count, type="integer"), AGE),
)  # fmt: skip
SECRET = Kind("", "v1", "secrets", "secret", "Secret", columns=_SECRET_COLUMNS)
EVENT = Kind("", "v1", "events", "event", "Event", ("ev",), columns=_EVENT_COLUMNS)
POD = Kind("", "v1", "pods", "pod", "Pod", ("po",), ("all",), read_only=True, columns=_POD_COLUMNS)
LEASE = Kind(
    "coordination.k8s.io", "v1", "leases", "lease", "Lease",
    columns=(NAME, Column("Holder", _at("spec", "holderIdentity")), AGE),
)  # fmt: skip
SERVICE = Kind(
    *_SERVING, "services", "service", "Service", ("kservice", "ksvc"), _ALL, has_status=True,
    columns=(NAME, _URL, *_LATEST, *READY),
)  # fmt: skip
CONFIGURATION = Kind(
    *_SERVING, "configurations", "configuration", "Configuration", ("config", "cfg"), _ALL, has_status=True,
    columns=(NAME, *_LATEST, *READY),
)  # fmt: skip
REVISION = Kind(
    *_SERVING, "revisions", "revision", "Revision", ("rev",), _ALL, has_status=True, columns=_REVISION_COLUMNS,
)  # fmt: skip
ROUTE = Kind(
    *_SERVING, "routes", "route", "Route", ("rt",), _ALL, has_status=True, columns=(NAME, _URL, *READY),
)  # fmt: skip
BROKER = Kind(
    "eventing.knative.dev", "v1", "brokers", "broker", "Broker", (), ("all", "knative", "eventing"), has_status=True,
    columns=(NAME, Column("URL", _at("status", "address", "url")), CR_AGE, *READY),
)  # fmt: skip
TRIGGER = Kind(
    "eventing.knative.dev", "v1", "triggers", "trigger", "Trigger", (), ("all", "knative", "eventing"),
    has_status=True, columns=_TRIGGER_COLUMNS,
)  # fmt: skip
PING_SOURCE = Kind(
    "sources.knative.dev", "v1", "pingsources", "pingsource", "PingSource", (), ("all", "knative", "sources"),
    has_status=True, columns=_PING_COLUMNS,
)  # fmt: skip

KINDS = (
    NAMESPACE, CONFIG_MAP, SECRET, EVENT, POD, LEASE, SERVICE, CONFIGURATION, REVISION, ROUTE, BROKER, TRIGGER,
    PING_SOURCE,
)  # fmt: skip
BY_RESOURCE = {kind.resource: kind for kind in KINDS}


def find_kind(group: str, version: str, plural: str) -> Kind | None:
    """The kind served under that path."""
    for kind in KINDS:
        if (kind.group, kind.version, kind.plural) == (group, version, plural):
            return kind
    return None
