"""What of a snapshot store may go, and why: a pure decision over one task's folder, its manifests and one clock.

    <jeditaskid>/used                                   written at most once a day while the task has a Service
    <jeditaskid>/unreferenced.json                      since when which object here is named by no manifest
    <jeditaskid>/<schema revision>/manifest.json        names database, bundle, summary, index and layers
    <jeditaskid>/<schema revision>/answers/<version>/<digest of the snapshot>

Promises: what a manifest that stays reaches is never collected, nor anything that is not named as above. A manifest
goes when its task is past its lifetime, or when nothing points at its schema any more; an object goes once it was
found unreferenced, and last written, a whole `grace` ago. Until then whoever read an older manifest finds what it
names, and an ingest that is under way has long published the manifest that names its objects.
"""

import hashlib
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from mlflow_on_demand.reading import READING
from mlflow_on_demand.snapshot import MANIFEST, Manifest, object_names
from mlflow_on_demand.store import StoredObject

USED: Final = "used"
UNREFERENCED: Final = "unreferenced.json"
GRACE: Final = timedelta(days=1)
"""Longer than any ingest (ten minutes, the timeout of its Service) and any reader: a page goes over to the newest
snapshot within seconds, and sleeps minutes after its viewer's last input.
"""
_RENEW_USED: Final = timedelta(days=1)
_SCHEMA = r"[A-Za-z0-9_]{1,64}"
_OBJECT = re.compile(
    rf"({_SCHEMA})/(?:manifest\.json|{re.escape(READING)}|[0-9a-f]{{64}}\.(?:db\.gz|zip|json|json\.gz)"
    r"|answers/[A-Za-z0-9.+_-]{1,64}/[0-9a-f]{64})",
    re.ASCII,
)
_PLACE = re.compile(rf"(?:{_SCHEMA}/(?:answers/[A-Za-z0-9.+_-]{{1,64}}/)?)?", re.ASCII)


class Reason(StrEnum):
    """Why something is collected."""

    EXPIRED = "past its lifetime"
    OLD_SCHEMA = "a schema that nothing points at"
    UNREFERENCED = "named by no manifest"
    UNFINISHED = "a write that never ended"


@dataclass(frozen=True)
class Rules:
    """What a deployment decides: how long a snapshot is kept after its last use."""

    lifetime: timedelta
    grace: timedelta = GRACE


@dataclass(frozen=True)
class Folder:
    """One task's folder as last read; keys are relative to it, times in seconds since 1970.

    `manifests` are those that are published, by schema revision, read after `objects` was listed; `unreadable` are the
    schema revisions whose manifest cannot be read. `since` is what the last plan said to remember. `standing` says
    whether the task has a Service; `schemas_in_use` are the revisions that the Service's routed and candidate Revisions
    read, or None when nobody knows.
    """

    objects: tuple[StoredObject, ...]
    manifests: Mapping[str, Manifest]
    since: Mapping[str, int]
    standing: bool
    unreadable: frozenset[str] = frozenset()
    schemas_in_use: frozenset[str] | None = None
    unfinished: tuple[StoredObject, ...] = ()


@dataclass(frozen=True)
class Victim:
    """One object to remove, as it was listed: if it is another by then, it stays."""

    found: StoredObject
    reason: Reason


@dataclass(frozen=True)
class Plan:
    """What to do with a folder, manifests first; `since` is what to remember, `renew_use` whether to write `used`,
    `is_end` says that nothing is left that needs a memory.

    `waiting` are unreferenced and in their grace, `unknown` is what nobody here recognises: it is left alone.
    """

    collect: tuple[Victim, ...]
    unfinished: tuple[Victim, ...]
    since: Mapping[str, int]
    renew_use: bool
    is_end: bool
    waiting: tuple[StoredObject, ...]
    unknown: tuple[StoredObject, ...]


@dataclass(frozen=True)
class Memory:
    """What one run leaves to the next: the objects as they were listed, and since when which are unreferenced."""

    listing: str
    since: Mapping[str, int]

    def covers(self, objects: Iterable[StoredObject]) -> bool:
        """Whether nothing was written or removed since, and all that was there was needed: no manifest has to be read
        again to know that, but where an older schema's may be over.
        """
        objects = tuple(objects)
        return not self.since and len(schemas_of(objects)) == 1 and self.listing == fingerprint(objects)


def fingerprint(objects: Iterable[StoredObject]) -> str:
    """The same for the same objects, whatever this module itself wrote beside them."""
    facts = sorted((one.key, one.etag, one.mtime) for one in objects if one.key not in (USED, UNREFERENCED))
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def schemas_of(objects: Iterable[StoredObject], name: str = "") -> tuple[str, ...]:
    """The schema revisions of which a task's folder holds anything, or an object of this name."""
    found = (match for one in objects if (match := _OBJECT.fullmatch(one.key)))
    return tuple(sorted({match[1] for match in found if not name or match[0] == f"{match[1]}/{name}"}))


def plan_folder(folder: Folder, rules: Rules, now: int) -> Plan:
    """What is to be collected of one task at `now`."""
    by_key = {found.key: found for found in folder.objects}
    known = {key for key in by_key if _OBJECT.fullmatch(key)}
    doomed = dict(_doomed_manifests(folder, by_key, rules, now))
    reached = frozenset(_reached(folder, known, doomed))
    loose = known - reached - doomed.keys()
    since = {key: min(folder.since.get(key, now), now) for key in sorted(loose)}
    limit = now - int(rules.grace.total_seconds())
    over = [key for key, seen in since.items() if seen <= limit and by_key[key].mtime <= limit]
    gone = {*over, *doomed}
    is_end = not known and not folder.standing
    own = [Victim(by_key[key], Reason.EXPIRED) for key in (USED, UNREFERENCED) if is_end and key in by_key]
    return Plan(
        collect=(
            *(Victim(by_key[key], reason) for key, reason in doomed.items()),
            *(Victim(by_key[key], Reason.UNREFERENCED) for key in over),
            *own,
        ),
        unfinished=tuple(_unfinished(folder.unfinished, limit)),
        since={key: seen for key, seen in since.items() if key not in gone},
        renew_use=folder.standing and bool(known) and not _is_young(by_key.get(USED), _RENEW_USED, now),
        is_end=is_end,
        waiting=tuple(by_key[key] for key in since if key not in gone),
        unknown=tuple(found for key, found in by_key.items() if key not in known and key not in (USED, UNREFERENCED)),
    )


def _doomed_manifests(
    folder: Folder, by_key: Mapping[str, StoredObject], rules: Rules, now: int
) -> Iterator[tuple[str, Reason]]:
    written = {schema: by_key[f"{schema}/{MANIFEST}"].mtime for schema in schemas_of(by_key.values(), MANIFEST)}
    newest = max(written.values(), default=0)
    last_use = max(newest, by_key[USED].mtime if USED in by_key else 0)
    limit = now - rules.lifetime.total_seconds()
    for schema, when in sorted(written.items()):
        if not folder.standing and last_use < limit:
            yield f"{schema}/{MANIFEST}", Reason.EXPIRED
        elif when < newest and _is_superseded(schema, when < limit, folder):
            yield f"{schema}/{MANIFEST}", Reason.OLD_SCHEMA


def _is_superseded(schema: str, is_old: bool, folder: Folder) -> bool:  # noqa: FBT001 (of two facts, one)
    """Whether a schema older than the task's newest may go: a Service may go back to it, unless it is known not to."""
    if schema in folder.unreadable:
        return False
    if folder.standing:
        return folder.schemas_in_use is not None and schema not in folder.schemas_in_use
    return is_old


def _reached(folder: Folder, known: Iterable[str], doomed: Container[str]) -> Iterator[str]:
    for schema, manifest in folder.manifests.items():
        prefix = f"{schema}/"
        if f"{prefix}{MANIFEST}" in doomed:
            continue
        yield f"{prefix}{MANIFEST}"
        yield from (f"{prefix}{name}" for name in object_names(manifest))
        # Of all versions: those that share a schema take turns in a rollout.
        yield from (key for key in known if key.startswith(f"{prefix}answers/") and key.endswith(f"/{manifest.digest}"))
    for schema in folder.unreadable:  # whatever it names, it may be this
        if f"{schema}/{MANIFEST}" not in doomed:
            yield from (key for key in known if key.startswith(f"{schema}/"))


def _unfinished(writes: Iterable[StoredObject], limit: int) -> Iterator[Victim]:
    for found in writes:
        folder, _, name = found.key.rpartition("/")
        place = f"{folder}/" if folder else ""
        is_ours = name.startswith(".") and _PLACE.fullmatch(place)
        if found.mtime <= limit and (is_ours or _OBJECT.fullmatch(found.key) or found.key in (USED, UNREFERENCED)):
            yield Victim(found, Reason.UNFINISHED)


def _is_young(found: StoredObject | None, age: timedelta, now: int) -> bool:
    return found is not None and found.mtime > now - age.total_seconds()
