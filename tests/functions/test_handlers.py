"""Pages are made and ended against a real API server, with others writing at the same time and faults in between."""

import dataclasses
import threading
from datetime import timedelta

import pytest
from kubernetes import config

from bigpanda_mlflow import handlers, labels
from bigpanda_mlflow.cluster import Cluster
from bigpanda_mlflow.context import Context
from bigpanda_mlflow.errors import ClusterConflict, Permanent, Transient
from bigpanda_mlflow.events import EventType, ServiceReady
from bigpanda_mlflow.tombstones import Tombstone, bury, read_tombstone, unannounced
from embedded.kit import Cluster as Runtime
from support.builders import visualize_event
from support.scenes import ask, expire, find, interrupted, move, release
from support.sink import Sink

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
SERVICES = "/apis/serving.knative.dev/v1/namespaces/bigpanda/services"


def test_ready_says_where_and_until_when(context: Context) -> None:
    outcome = ask(context, 1)
    assert outcome.type is EventType.READY
    assert outcome.data == ServiceReady(
        jeditaskid=1, url="https://task-1.mlflow.example", expires_at=context.now() + HOUR
    )
    assert ask(context, 1) == outcome


def test_a_release_that_overtakes_its_visualize_wins(context: Context) -> None:
    asked = visualize_event(context.now(), "v1", jeditaskid=2)
    move(context, HOUR)
    assert release(context, 2) is not None
    assert handlers.visualize(asked, context).type is EventType.FAILED
    assert find(context, 2) is None


def test_a_release_between_reading_and_creating_wins(context: Context) -> None:
    later = context.now() + SECOND
    racing = interrupted(context, "create_service", lambda: release(context, 3, at=later))
    assert ask(racing, 3).type is EventType.FAILED
    assert find(context, 3) is None


def test_an_old_release_does_not_end_a_newer_request(context: Context) -> None:
    ask(context, 4)
    assert release(context, 4, at=context.now() - HOUR) is None
    assert find(context, 4) is not None


def test_an_end_is_announced_once_and_remembered(context: Context, sink: Sink) -> None:
    ask(context, 5)
    move(context, HOUR)
    expire(context)
    expire(context)
    assert find(context, 5) is None
    assert sink.taken == ["ch.cern.bigpanda.service.expired 5 v1:expired"]
    stone = read_tombstone(context.cluster.get_tombstones(), 5)
    assert stone is not None
    assert (stone.reason, stone.announced) == ("expired", True)


def test_a_request_that_races_expiry_is_not_lost(context: Context) -> None:
    ask(context, 6)
    move(context, HOUR)
    expire(interrupted(context, "delete_service", lambda: ask(context, 6, lifetime="PT5H", identity="v2")))
    service = find(context, 6)
    assert service is not None
    assert service.expires_at == context.now() + 5 * HOUR
    expire(context)
    assert find(context, 6) is not None


def test_a_deletion_that_was_cut_short_is_finished(context: Context, sink: Sink) -> None:
    ask(context, 7, lifetime="P10D")
    service = find(context, 7)
    assert service is not None
    stone = Tombstone(service.last, context.now(), "expired")
    context.cluster.change_tombstones(lambda data: bury(data, 7, stone))
    expire(context)
    assert find(context, 7) is None
    assert sink.taken == ["ch.cern.bigpanda.service.expired 7 v1:expired"]


@pytest.mark.parametrize("status", [500, 404, None])
def test_an_end_nobody_heard_of_is_told_again(context: Context, sink: Sink, status: int | None) -> None:
    ask(context, 8)
    move(context, HOUR)
    deaf = context
    if status is None:
        nowhere = context.settings.model_copy(update={"sink": "http://127.0.0.1:1/"})
        deaf = dataclasses.replace(context, settings=nowhere)
    else:
        sink.status = status
    with pytest.raises(Transient, match="broker"):
        expire(deaf)
    assert find(context, 8) is None
    assert list(unannounced(context.cluster.get_tombstones())) == [8]
    sink.status = 202
    expire(context)
    assert sink.taken == ["ch.cern.bigpanda.service.expired 8 v1:expired"]


def test_old_tombstones_are_forgotten(context: Context) -> None:
    ask(context, 9)
    release(context, 9)
    move(context, timedelta(days=13))
    expire(context)
    assert list(context.cluster.get_tombstones()) == ["9"]
    move(context, timedelta(days=2))
    expire(context)
    assert context.cluster.get_tombstones() == {}


def test_a_service_of_somebody_else_is_left_alone(context: Context, runtime: Runtime) -> None:
    body = {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": "task-10"},
        "spec": {"template": {"spec": {"containers": [{"image": "test/echo"}]}}},
    }
    runtime.create(SERVICES, body)
    for attempt in (ask, release):
        with pytest.raises(Permanent, match="not made by this project"):
            attempt(context, 10)
    move(context, 1000 * HOUR)
    expire(context)
    assert runtime.api.delete(f"{SERVICES}/task-10").status_code == 200


def test_an_image_that_is_nowhere_is_a_failure_in_words(context: Context) -> None:
    settings = context.settings.model_copy(update={"mlflow_image": "nowhere/at-all:1"})
    outcome = ask(dataclasses.replace(context, settings=settings), 11)
    assert outcome.type is EventType.FAILED
    assert "nowhere/at-all" in outcome.data.reason


def test_a_cluster_that_does_not_answer_is_a_passing_fault(context: Context) -> None:
    api = config.new_client_from_config_dict(
        {
            "current-context": "x",
            "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
            "clusters": [{"name": "x", "cluster": {"server": "http://127.0.0.1:1"}}],
            "users": [{"name": "x", "user": {}}],
        }
    )
    with pytest.raises(Transient, match="cannot be reached"):
        ask(dataclasses.replace(context, cluster=Cluster(api, "bigpanda")), 12)
    api.close()


def test_many_writers_of_tombstones_lose_none(context: Context) -> None:
    threads = [threading.Thread(target=release, args=(context, task)) for task in range(20, 32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {int(task) for task in context.cluster.get_tombstones()} == set(range(20, 32))


def test_deleting_another_reading_is_a_conflict(context: Context) -> None:
    ask(context, 40)
    before = find(context, 40)
    move(context, SECOND)
    ask(context, 40, identity="v2")
    assert before is not None
    with pytest.raises(ClusterConflict):
        context.cluster.delete_service(before)
    assert find(context, 40) is not None


def test_what_an_older_event_said_more_does_not_linger(context: Context) -> None:
    ask(context, 60, objective={"metric": "loss", "direction": "minimize"}, max_points=9)
    move(context, SECOND)
    ask(context, 60, identity="v2")
    raw = context.cluster.get_service("task-60")
    assert raw is not None
    assert not {labels.OBJECTIVE, labels.MAX_POINTS} & set(raw["metadata"]["annotations"])
