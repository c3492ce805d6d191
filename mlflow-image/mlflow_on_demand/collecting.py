"""Carries out what `retention` plans: collects in a snapshot store what nothing needs any more.

Whoever collects may be interrupted anywhere: nothing is removed before the plan of the run in which it was first seen
unreferenced was written down, and what is left comes next time. Light to import: no MLflow.
"""

import dataclasses
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from io import BytesIO
from typing import Protocol, runtime_checkable

from mlflow_on_demand.errors import ManifestError, ObjectMissing, StoreError
from mlflow_on_demand.retention import (
    UNREFERENCED,
    USED,
    Folder,
    Memory,
    Plan,
    Reason,
    Rules,
    Victim,
    fingerprint,
    plan_folder,
    schemas_of,
)
from mlflow_on_demand.snapshot import MANIFEST, Manifest, parse_manifest
from mlflow_on_demand.store import Store, StoredObject

_log = logging.getLogger(__name__)


_NOTHING = Memory("", {})


@runtime_checkable
class KeepsUnfinished(Protocol):
    """A store in which a write that was cut short leaves something behind which `list` does not tell."""

    def list_unfinished(self) -> Iterator[StoredObject]:
        """What was begun and not ended, at any depth, with the time of its beginning or last change."""

    def discard_unfinished(self, write: StoredObject) -> None:
        """Remove one of these; it is no error if there is none."""


WAITING = "in grace"
UNKNOWN = "not ours"


@dataclass(frozen=True)
class Report:
    """What was collected, or, in a dry run, would have been: objects and bytes by reason.

    Two reasons stand for what stays: WAITING is named by no manifest and in its grace, UNKNOWN lies in the folder of a
    task and is nothing that this project writes.
    """

    tasks: int = 0
    objects: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: "Report") -> "Report":
        """Both together."""
        return Report(self.tasks + other.tasks, self.objects + other.objects, self.bytes + other.bytes)


class Collector:
    """One run over a snapshot store at `now`; in a dry run nothing is written and nothing removed."""

    def __init__(self, store: Store, rules: Rules, now: datetime, *, dry_run: bool) -> None:
        self._store = store
        self._rules = rules
        self._now = int(now.timestamp())
        self._is_dry = dry_run
        self._folders = _by_task(store.list())
        self._unfinished = _by_task(_list_unfinished(store))

    @property
    def tasks(self) -> list[int]:
        """The tasks that have a folder in the store, as it was listed; anything else in the store is not looked at."""
        return sorted({*self._folders, *self._unfinished})

    def collect(
        self,
        jeditaskid: int,
        standing: bool,  # noqa: FBT001 (a fact about the task)
        stands_now: Callable[[], bool],
        schemas: frozenset[str] | None = None,
    ) -> Report:
        """Collect what is over of one task. `standing` says whether it has a Service, and `stands_now` is asked before
        the snapshot of one that has none is given up; `schemas` as Folder's `schemas_in_use`. Raises StoreError, and
        what `stands_now` raises.
        """
        objects = tuple(self._folders.get(jeditaskid, ()))
        memory = self._recall(jeditaskid, objects)
        folder = self._read(jeditaskid, objects, memory, schemas)
        plan = plan_folder(dataclasses.replace(folder, standing=standing), self._rules, self._now)
        if any(victim.reason is Reason.EXPIRED for victim in plan.collect) and stands_now():
            plan = plan_folder(dataclasses.replace(folder, standing=True), self._rules, self._now)
        if not self._is_dry:
            self._apply(jeditaskid, plan, memory, Memory(fingerprint(objects), plan.since))
        return _report(plan)

    def _recall(self, jeditaskid: int, objects: tuple[StoredObject, ...]) -> Memory:
        if all(found.key != UNREFERENCED for found in objects):
            return _NOTHING
        try:
            said = json.loads(self._store.read(f"{jeditaskid}/{UNREFERENCED}"))
            return Memory(str(said["listing"]), {str(name): int(seen) for name, seen in said["since"].items()})
        except (ObjectMissing, ValueError, TypeError, KeyError, AttributeError):
            return _NOTHING  # damaged: the grace begins anew

    def _read(
        self, jeditaskid: int, objects: tuple[StoredObject, ...], memory: Memory, in_use: frozenset[str] | None
    ) -> Folder:
        manifests: dict[str, Manifest] = {}
        schemas = schemas_of(objects)
        # Whatever its manifest names, it is all that lies there, as it was when the manifest was read.
        unread = set(schemas) if memory.covers(objects) else set()
        for schema in () if unread else schemas:
            try:
                manifests[schema] = parse_manifest(self._store.read(f"{jeditaskid}/{schema}/{MANIFEST}"))
            except ObjectMissing:
                continue
            except ManifestError:
                unread.add(schema)
        return Folder(
            objects=objects,
            manifests=manifests,
            since=memory.since,
            standing=False,
            unreadable=frozenset(unread),
            schemas_in_use=in_use,
            unfinished=tuple(self._unfinished.get(jeditaskid, ())),
        )

    def _apply(self, jeditaskid: int, plan: Plan, before: Memory, after: Memory) -> None:
        key = f"{jeditaskid}/{UNREFERENCED}"
        if after != before and not plan.is_end:
            content = json.dumps({"listing": after.listing, "since": dict(after.since)})
            self._store.write(key, BytesIO(content.encode()))
        if plan.renew_use:
            self._store.write(f"{jeditaskid}/{USED}", BytesIO())
        for victim in plan.collect:
            self._remove(jeditaskid, victim)
        for victim in plan.unfinished:
            self._discard(jeditaskid, victim)

    def _remove(self, jeditaskid: int, victim: Victim) -> None:
        key = f"{jeditaskid}/{victim.found.key}"
        with suppress(ObjectMissing):
            # Written again since it was listed: somebody needs it.
            present = self._store.stat(key)
            if (present.etag, present.mtime) == (victim.found.etag, victim.found.mtime):
                self._store.delete(key)
                _log.debug("collected", extra={"jeditaskid": jeditaskid, "object": key, "reason": victim.reason})

    def _discard(self, jeditaskid: int, victim: Victim) -> None:
        assert isinstance(self._store, KeepsUnfinished)  # it listed them
        self._store.discard_unfinished(dataclasses.replace(victim.found, key=f"{jeditaskid}/{victim.found.key}"))


def _list_unfinished(store: Store) -> list[StoredObject]:
    """Nothing where the store has no such thing, or does not tell: that alone must not keep the rest from going."""
    try:
        return list(store.list_unfinished()) if isinstance(store, KeepsUnfinished) else []
    except ObjectMissing:
        return []
    except StoreError as error:
        _log.warning("writes that never ended cannot be listed", extra={"reason": str(error)})
        return []


def _by_task(objects: Iterable[StoredObject]) -> dict[int, list[StoredObject]]:
    """By the folders whose name is a jeditaskid; keys are relative to them then."""
    found: dict[int, list[StoredObject]] = {}
    for one in objects:
        task, slash, key = one.key.partition("/")
        if slash and task.isascii() and task.isdigit() and str(int(task)) == task:
            found.setdefault(int(task), []).append(dataclasses.replace(one, key=key))
    return found


def _report(plan: Plan) -> Report:
    objects, size = Counter[str](), Counter[str]()
    told = [
        *((victim.reason.value, victim.found) for victim in (*plan.collect, *plan.unfinished)),
        *((WAITING, found) for found in plan.waiting),
        *((UNKNOWN, found) for found in plan.unknown),
    ]
    for reason, found in told:
        objects[reason] += 1
        size[reason] += found.size
    return Report(1, objects, size)
