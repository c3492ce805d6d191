"""The durable queue of events: SQL in, SQL out, no decisions.

Promises: an event and its deliveries are committed together; a delivery's end and the event that its reply publishes
are committed together; what was not finished before a crash is due again after it.
"""

import dataclasses
import json
import sqlite3
from collections.abc import Sequence
from enum import StrEnum

from knative_embedded.eventing.cloudevents import Event


class Phase(StrEnum):
    """Where a delivery is headed."""

    SUBSCRIBER = "subscriber"
    DEAD_LETTER = "dead-letter"


@dataclasses.dataclass(frozen=True)
class Recipient:
    """A Trigger that gets an event."""

    namespace: str
    name: str
    uid: str


@dataclasses.dataclass(frozen=True)
class Publication:
    """An event on its way into a Broker; `ttl` counts how often replies may beget replies."""

    namespace: str
    broker: str
    event: Event
    ttl: int
    recipients: Sequence[Recipient]


@dataclasses.dataclass(frozen=True)
class Pending:
    """A delivery that is due."""

    id: int
    recipient: Recipient
    broker: str
    event: Event
    ttl: int
    phase: Phase
    attempts: int
    failure: dict[str, str]
    """For a dead letter: the extensions that say why."""


@dataclasses.dataclass(frozen=True)
class DeadLetter:
    """What became of an event that could not be delivered."""

    ended: str
    sink: str
    outcome: str


def publish(connection: sqlite3.Connection, publication: Publication, now: float) -> None:
    """Commit an event with one delivery for each recipient; without recipients nothing is kept."""
    if not publication.recipients:
        return
    event = publication.event
    row = (publication.namespace, publication.broker, json.dumps(dict(event.attributes)), event.data, publication.ttl)
    cursor = connection.execute(
        "INSERT INTO events (namespace, broker, attributes, data, ttl) VALUES (?, ?, ?, ?, ?)", row
    )
    connection.executemany(
        "INSERT INTO deliveries (event, namespace, trigger_name, trigger_uid, phase, attempts, due)"
        " VALUES (?, ?, ?, ?, ?, 0, ?)",
        [(cursor.lastrowid, one.namespace, one.name, one.uid, Phase.SUBSCRIBER, now) for one in publication.recipients],
    )


def list_due(connection: sqlite3.Connection, trigger_uid: str, now: float, limit: int) -> list[Pending]:
    """The oldest due deliveries of a Trigger."""
    rows = connection.execute(
        "SELECT d.id, d.namespace, d.trigger_name, d.trigger_uid, e.broker, e.attributes, e.data, e.ttl, d.phase,"
        " d.attempts, d.failure FROM deliveries d JOIN events e ON e.id = d.event"
        " WHERE d.trigger_uid = ? AND d.due <= ? ORDER BY d.due, d.id LIMIT ?",
        (trigger_uid, now, limit),
    ).fetchall()
    return [
        Pending(
            id=row[0],
            recipient=Recipient(row[1], row[2], row[3]),
            broker=row[4],
            event=Event(json.loads(row[5]), row[6]),
            ttl=row[7],
            phase=Phase(row[8]),
            attempts=row[9],
            failure=json.loads(row[10]) if row[10] else {},
        )
        for row in rows
    ]


def next_due(connection: sqlite3.Connection, trigger_uid: str, after: float) -> float | None:
    """When the Trigger's next delivery after a moment is due."""
    query = "SELECT MIN(due) FROM deliveries WHERE trigger_uid = ? AND due > ?"
    found: float | None = connection.execute(query, (trigger_uid, after)).fetchone()[0]
    return found


def postpone(connection: sqlite3.Connection, pending: Pending, due: float) -> None:
    """Count a failed attempt, and try again later."""
    query = "UPDATE deliveries SET attempts = attempts + 1, due = ? WHERE id = ?"
    connection.execute(query, (due, pending.id))


def turn_to_dead_letter(connection: sqlite3.Connection, pending: Pending, failure: dict[str, str], now: float) -> None:
    """Give up on the subscriber; the same delivery now goes to the dead letter sink."""
    query = "UPDATE deliveries SET phase = ?, attempts = 0, due = ?, failure = ? WHERE id = ?"
    connection.execute(query, (Phase.DEAD_LETTER, now, json.dumps(failure), pending.id))


def finish(connection: sqlite3.Connection, pending: Pending) -> None:
    """End a delivery, and forget its event with the last one."""
    row = connection.execute("SELECT event FROM deliveries WHERE id = ?", (pending.id,)).fetchone()
    if row is None:
        return
    connection.execute("DELETE FROM deliveries WHERE id = ?", (pending.id,))
    connection.execute(
        "DELETE FROM events WHERE id = ? AND NOT EXISTS (SELECT 1 FROM deliveries WHERE event = events.id)", row
    )


KEPT_DEAD_LETTERS = 10_000


def bury(connection: sqlite3.Connection, pending: Pending, letter: DeadLetter) -> None:
    """Keep a dead letter, with its reason among the attributes; the oldest go when there are too many."""
    event = pending.event.extended(pending.failure)
    row = (
        pending.recipient.namespace, pending.broker, pending.recipient.name, json.dumps(dict(event.attributes)),
        event.data, letter.ended, letter.sink, letter.outcome,
    )  # fmt: skip
    connection.execute(
        "INSERT INTO dead_letters (namespace, broker, trigger_name, attributes, data, ended, sink, outcome)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        row,
    )
    connection.execute(
        "DELETE FROM dead_letters WHERE id <= (SELECT MAX(id) FROM dead_letters) - ?", (KEPT_DEAD_LETTERS,)
    )


def drop_trigger(connection: sqlite3.Connection, trigger_uid: str) -> None:
    """Forget what a deleted Trigger would still have got."""
    connection.execute("DELETE FROM deliveries WHERE trigger_uid = ?", (trigger_uid,))
    connection.execute("DELETE FROM events WHERE NOT EXISTS (SELECT 1 FROM deliveries WHERE event = events.id)")


def list_trigger_uids(connection: sqlite3.Connection) -> list[str]:
    """The Triggers that deliveries are kept for."""
    return [row[0] for row in connection.execute("SELECT DISTINCT trigger_uid FROM deliveries")]
