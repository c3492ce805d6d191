"""What each function does with the cluster's API, scene by scene: all the ways through its handler.

A scene prepares the cluster with every right there is, and returns what the function is then to do: `act`, which can be
called again, as the broker would.
"""

import atexit
import dataclasses
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from flask import Request, Response
from pydantic import SecretStr
from werkzeug.test import create_environ

from bigpanda_mlflow import handlers
from bigpanda_mlflow.answers import answer, reply
from bigpanda_mlflow.context import Context
from bigpanda_mlflow.endpoint import Handler, Platform
from bigpanda_mlflow.events import Event, EventKey, EventType, Release, Results, Visualize
from bigpanda_mlflow.frontdoor import FrontDoor
from bigpanda_mlflow.names import service_name
from bigpanda_mlflow.retaining import retain
from bigpanda_mlflow.tombstones import Tombstone, bury
from mlflow_on_demand.snapshot import Source
from support.builders import visualize_event
from support.laptop import make_request
from support.rollout_scenes import candidate_that_is_taken_back, new_image, snapshot_of_a_task
from support.scenes import MANIFEST, Clock, interrupted

HOUR = timedelta(hours=1)
_TOKEN = "of the scenes"
_numbers = itertools.count(1)

Act = Callable[[], Response]


class Stage:
    """One task on a stage: `admin` sets the scene, `function` is the one whose rights are in question."""

    def __init__(self, admin: Context, function: Context) -> None:
        self.admin = admin
        self.function = function
        self.task = next(_numbers)

    def ask(self, lifetime: timedelta = HOUR) -> Event[Visualize]:
        """Somebody's wish to look at the task, of this moment."""
        now = self.admin.now()
        seconds = f"PT{int(lifetime.total_seconds())}S"
        return visualize_event(now, now.isoformat(), jeditaskid=self.task, lifetime=seconds)

    def show(self, lifetime: timedelta = HOUR) -> Event[Visualize]:
        """The task has a page, which is ready."""
        event = self.ask(lifetime)
        assert handlers.visualize(event, self.admin).type is EventType.READY
        return event

    def end(self) -> Event[Release]:
        """The wish that the task's page be gone, of this moment."""
        return Event(EventKey(self.admin.now(), "w"), EventType.RELEASE, Release(jeditaskid=self.task))

    def release(self) -> None:
        handlers.release(self.end(), self.admin)

    def wait(self, hours: float) -> None:
        assert isinstance(self.admin.now, Clock)
        self.admin.now.now += timedelta(hours=hours)

    def stands(self) -> bool:
        return self.admin.cluster.get_service(service_name(self.task)) is not None

    def act(self, handler: Handler, event: Event[Any], context: Context | None = None) -> Act:
        """What the function's endpoint does with an event, from the handler to the answer."""
        return lambda: answer(lambda: reply(handler(event, context or self.function)))


def new_page(stage: Stage) -> Act:
    return stage.act(handlers.visualize, stage.ask())


def asked_again(stage: Stage) -> Act:
    stage.show()
    stage.wait(0.5)
    return stage.act(handlers.visualize, stage.ask())


def asked_before_its_release(stage: Stage) -> Act:
    event = stage.ask()
    stage.wait(0.5)
    stage.release()
    return stage.act(handlers.visualize, event)


def asked_for_a_time_that_is_over(stage: Stage) -> Act:
    stage.show()
    stage.wait(0.5)
    event = stage.ask()
    stage.wait(2)
    return stage.act(handlers.visualize, event)


def released_while_it_is_made(stage: Stage) -> Act:
    event = stage.ask()
    stage.wait(0.5)
    return stage.act(handlers.visualize, event, interrupted(stage.function, "create_service", stage.release))


def release_of_a_page(stage: Stage) -> Act:
    stage.show()
    return stage.act(handlers.release, stage.end())


def release_without_a_page(stage: Stage) -> Act:
    return stage.act(handlers.release, stage.end())


def release_that_is_overtaken(stage: Stage) -> Act:
    event = stage.end()
    stage.wait(0.5)
    stage.show()
    return stage.act(handlers.release, event)


def _ping(stage: Stage) -> Act:
    event = Event(EventKey(stage.admin.now(), "p"), EventType.PING, None)
    once = stage.act(handlers.expire, event)

    def act() -> Response:
        # Knative may still write to a Service that is to end, which is then left for the next ping.
        answers = (once() for _ in range(20))
        return next(said for said in answers if said.status_code != 204 or not stage.stands())

    return act


def time_is_over(stage: Stage) -> Act:
    stage.show()
    stage.wait(2)
    return _ping(stage)


def deletion_was_cut_short(stage: Stage) -> Act:
    event = stage.show()
    stone = Tombstone(event.key, stage.admin.now(), "expired")
    stage.admin.cluster.change_tombstones(lambda data: bury(data, stage.task, stone))
    return _ping(stage)


def tombstone_is_old(stage: Stage) -> Act:
    stage.release()
    stage.wait(24 * 15)
    return _ping(stage)


def no_end_is_due(stage: Stage) -> Act:
    stage.show()
    event = Event(EventKey(stage.admin.now(), "p"), EventType.PING, None)
    return stage.act(handlers.expire, event)


def _ingest(event: Event[Any], context: Context) -> Any:
    return handlers.ingest(event, context, lambda *_: MANIFEST)


def _sweep(event: Event[Any], context: Context) -> None:
    handlers.sweep(event, context, lambda *_: (Source("new.tgz", "s3://panda/hpo/new.tgz", 1, "e"),))


def something_new(stage: Stage) -> Act:
    stage.show()
    return stage.act(_sweep, Event(EventKey(stage.admin.now(), "p"), EventType.PING, None))


def _retain(stage: Stage) -> Act:
    """The collector, over a store in which the task has a snapshot from long ago."""
    store = Path(tempfile.mkdtemp(prefix="retain-"))
    atexit.register(shutil.rmtree, store, ignore_errors=True)
    manifest = store / str(stage.task) / "abc" / "manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text("{}")
    os.utime(manifest, (1, 1))
    settings = stage.function.settings.model_copy(update={"snapshot_store": store.as_uri()})
    event = Event(EventKey(stage.admin.now(), "p"), EventType.PING, None)
    return stage.act(retain, event, dataclasses.replace(stage.function, settings=settings))


def snapshot_of_a_page(stage: Stage) -> Act:
    stage.show()
    return _retain(stage)


def first_tarballs(stage: Stage) -> Act:
    return stage.act(_ingest, stage.ask())


def more_tarballs(stage: Stage) -> Act:
    stage.show()
    event = Event(EventKey(stage.admin.now(), "n"), EventType.RESULTS, Results(jeditaskid=stage.task))
    return stage.act(_ingest, event)


def tarballs_after_the_release(stage: Stage) -> Act:
    event = stage.ask()
    stage.wait(0.5)
    stage.release()
    return stage.act(_ingest, event)


def _call(stage: Stage, headers: dict[str, str], **request: Any) -> Act:
    settings = stage.function.settings.model_copy(update={"front_tokens": (SecretStr(_TOKEN),)})
    platform = Platform(settings)
    platform.context = stage.function
    headers = {**headers, "Authorization": f"Bearer {_TOKEN}"}
    return lambda: FrontDoor(platform)(Request(create_environ(headers=headers, **request)))


def question(stage: Stage) -> Act:
    stage.show()
    return _call(stage, {}, path=f"/tasks/{stage.task}")


def event_and_wait(stage: Stage) -> Act:
    stage.show()
    event = stage.ask()
    place = list(event.data.artifacts)
    headers, body = make_request(at=event.key.time, identity=event.key.id, jeditaskid=stage.task, artifacts=place)
    return _call(stage, {**headers, "Prefer": "wait=60"}, method="POST", data=body)


@dataclass(frozen=True)
class Scene:
    """What is answered when no right is missing, and whether the task has a page then."""

    prepare: Callable[[Stage], Act]
    answer: str
    stands: bool


def told(response: Response) -> str:
    """What a function answered, in a word: the type of its event, the state of the task, or the status."""
    if kind := response.headers.get("ce-type"):
        return kind.removeprefix("ch.cern.bigpanda.")
    return str(json.loads(response.data)["state"]) if response.status_code == 200 else str(response.status_code)


SCENES = {
    "visualize": {
        "a new page": Scene(new_page, "service.ready", stands=True),
        "asked again": Scene(asked_again, "service.ready", stands=True),
        "asked before its release": Scene(asked_before_its_release, "service.failed", stands=False),
        "asked for a time that is over": Scene(asked_for_a_time_that_is_over, "service.failed", stands=False),
        "released while it is made": Scene(released_while_it_is_made, "service.failed", stands=False),
    },
    "release": {
        "of a page": Scene(release_of_a_page, "service.expired", stands=False),
        "without a page": Scene(release_without_a_page, "service.expired", stands=False),
        "overtaken": Scene(release_that_is_overtaken, "204", stands=True),
    },
    "expire": {
        "time is over": Scene(time_is_over, "204", stands=False),
        "a deletion was cut short": Scene(deletion_was_cut_short, "204", stands=False),
        "a tombstone is old": Scene(tombstone_is_old, "204", stands=False),
        "nothing is due": Scene(no_end_is_due, "204", stands=True),
    },
    "sweep": {
        "something is new": Scene(something_new, "204", stands=True),
    },
    "retain": {
        "a page that stands": Scene(snapshot_of_a_page, "204", stands=True),
        "a page that has gone": Scene(_retain, "204", stands=False),
    },
    "ingest": {
        "first tarballs": Scene(first_tarballs, "snapshot.published", stands=False),
        "more tarballs": Scene(more_tarballs, "snapshot.published", stands=True),
        "after the release": Scene(tarballs_after_the_release, "204", stands=False),
    },
    "rollout": {
        "a new image": Scene(new_image, "204", stands=False),
        "a snapshot": Scene(snapshot_of_a_task, "204", stands=False),
        "a candidate is taken back": Scene(candidate_that_is_taken_back, "204", stands=True),
    },
    "front": {
        "a question": Scene(question, "ready", stands=True),
        "an event and a wait": Scene(event_and_wait, "service.ready", stands=True),
    },
}
