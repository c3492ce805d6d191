"""What is remembered of ended tasks, so that a late retry of an old event never brings one back.

All tombstones live in the data of one ConfigMap: key = jeditaskid, value = JSON. About 130 bytes a task, so its limit
of 1 MiB holds some 8,000 endings within the retention time. A tombstone is also the outbox of its own announcement:
`announced` turns true when the broker has the event, so that a crash in between announces it again rather than never.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from bigpanda_mlflow.events import EventKey
from bigpanda_mlflow.times import format_time, parse_time

Reason = Literal["expired", "released"]
Data = dict[str, str]


@dataclass(frozen=True)
class Tombstone:
    """The end of a task's page. Events up to and with `last` no longer count."""

    last: EventKey
    ended_at: datetime
    reason: Reason
    announced: bool = False


def tell(tombstone: Tombstone) -> str:
    """The end in words, without a full stop."""
    how = "was released" if tombstone.reason == "released" else "expired"
    return f"the page {how} at {format_time(tombstone.ended_at)}"


def read_tombstone(data: Mapping[str, str], jeditaskid: int) -> Tombstone | None:
    """The tombstone of a task, if there is one. What is unreadable (edited by hand) counts as none."""
    try:
        fields = json.loads(data[str(jeditaskid)])
        return Tombstone(
            last=EventKey(parse_time(fields["time"]), str(fields["id"])),
            ended_at=parse_time(fields["ended"]),
            reason="released" if fields["reason"] == "released" else "expired",
            announced=fields.get("announced") is True,
        )
    except (KeyError, TypeError, ValueError):
        return None


def bury(data: Mapping[str, str], jeditaskid: int, tombstone: Tombstone) -> Data:
    """`data` with this tombstone, unless the one that is there already covers the same or newer events."""
    standing = read_tombstone(data, jeditaskid)
    if standing is not None and standing.last >= tombstone.last:
        return dict(data)
    return {**data, str(jeditaskid): _write(tombstone)}


def mark_announced(data: Mapping[str, str], endings: Mapping[int, Tombstone]) -> Data:
    """`data` with those of `endings` marked that are still the ones standing."""
    marked = dict(data)
    for jeditaskid, tombstone in endings.items():
        if read_tombstone(data, jeditaskid) == tombstone:
            marked[str(jeditaskid)] = _write(replace(tombstone, announced=True))
    return marked


def unannounced(data: Mapping[str, str]) -> dict[int, Tombstone]:
    """The endings that nobody was told of yet, by task."""
    found = {int(key): read_tombstone(data, int(key)) for key in data if key.isdecimal()}
    return {key: stone for key, stone in found.items() if stone is not None and not stone.announced}


def prune(data: Mapping[str, str], now: datetime, retention: timedelta) -> Data:
    """`data` without what is announced and older than `retention`, and without what nobody can read."""
    kept = {}
    for key, value in data.items():
        stone = read_tombstone(data, int(key)) if key.isdecimal() else None
        if stone is not None and not (stone.announced and stone.ended_at + retention < now):
            kept[key] = value
    return kept


def _write(tombstone: Tombstone) -> str:
    fields = {
        "time": format_time(tombstone.last.time),
        "id": tombstone.last.id,
        "ended": format_time(tombstone.ended_at),
        "reason": tombstone.reason,
        "announced": tombstone.announced,
    }
    return json.dumps(fields, separators=(",", ":"))
