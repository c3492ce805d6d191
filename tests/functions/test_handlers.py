"""The handlers against a real API server, with others writing at the same time and faults in between."""

import dataclasses
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from kubernetes import config

from bigpanda_mlflow import handlers, labels
from bigpanda_mlflow.cluster import Cluster
from bigpanda_mlflow.context import Context
from bigpanda_mlflow.errors import ClusterConflict, Permanent, Transient
from bigpanda_mlflow.events import Event, EventKey, EventType, Release, Results, ServiceReady
from bigpanda_mlflow.names import service_name
from bigpanda_mlflow.settings import Settings
from bigpanda_mlflow.taskservice import TaskService, read_service
from bigpanda_mlflow.tombstones import Tombstone, bury, read_tombstone, unannounced
from embedded.kit import Cluster as Runtime
from embedded.kit import write_images
from mlflow_on_demand import snapshot
from mlflow_on_demand.errors import AccessDenied, StoreUnavailable
from mlflow_on_demand.ingest import IngestRequest, ingest_task
from mlflow_on_demand.news import find_news
from support.builders import ENVIRONMENT, visualize_event
from support.hpo_files import Point, run_id, tarball
from support.scenes import MANIFEST, Clock, interrupted
from support.sink import Sink

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
SERVICES = "/apis/serving.knative.dev/v1/namespaces/bigpanda/services"


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    root = tmp_path_factory.mktemp("handlers")
    with Runtime(root / "state", write_images(root)) as found:
        found.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "bigpanda"}})
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "bigpanda-mlflow-page"}}
        found.create("/api/v1/namespaces/bigpanda/secrets", secret)
        yield found


@pytest.fixture
def sink() -> Iterator[Sink]:
    found = Sink()
    yield found
    found.close()


@pytest.fixture
def context(runtime: Runtime, sink: Sink) -> Iterator[Context]:
    api = config.new_client_from_config(str(runtime.endpoints["kubeconfig"]))
    settings = Settings.from_environment({**ENVIRONMENT, "BIGPANDA_MLFLOW_IMAGE": "test/echo", "K_SINK": sink.url})
    cluster = Cluster(api, "bigpanda")
    yield Context(cluster, settings, Clock())
    for service in cluster.task_services():
        cluster.delete_service(service)
    cluster.change_tombstones(lambda _: {})
    api.close()


def move(context: Context, by: timedelta) -> None:
    assert isinstance(context.now, Clock)
    context.now.now += by


def ask(context: Context, task: int, lifetime: str = "PT1H", identity: str = "v1", **changes: Any) -> Any:
    event = visualize_event(context.now(), identity, jeditaskid=task, lifetime=lifetime, **changes)
    return handlers.visualize(event, context)


def release(context: Context, task: int, at: datetime | None = None) -> Any:
    event = Event(EventKey(at or context.now(), "w1"), EventType.RELEASE, Release(jeditaskid=task))
    return handlers.release(event, context)


def ping(context: Context) -> None:
    handlers.expire(Event(EventKey(context.now(), "p"), EventType.PING, None), context)


def find(context: Context, task: int) -> TaskService | None:
    raw = context.cluster.get_service(service_name(task))
    return None if raw is None else read_service(raw)


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
    ping(context)
    ping(context)
    assert find(context, 5) is None
    assert sink.taken == ["ch.cern.bigpanda.service.expired 5 v1:expired"]
    stone = read_tombstone(context.cluster.get_tombstones(), 5)
    assert stone is not None
    assert (stone.reason, stone.announced) == ("expired", True)


def test_a_request_that_races_expiry_is_not_lost(context: Context) -> None:
    ask(context, 6)
    move(context, HOUR)
    ping(interrupted(context, "delete_service", lambda: ask(context, 6, lifetime="PT5H", identity="v2")))
    service = find(context, 6)
    assert service is not None
    assert service.expires_at == context.now() + 5 * HOUR
    ping(context)
    assert find(context, 6) is not None


def test_a_deletion_that_was_cut_short_is_finished(context: Context, sink: Sink) -> None:
    ask(context, 7, lifetime="P10D")
    service = find(context, 7)
    assert service is not None
    stone = Tombstone(service.last, context.now(), "expired")
    context.cluster.change_tombstones(lambda data: bury(data, 7, stone))
    ping(context)
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
        ping(deaf)
    assert find(context, 8) is None
    assert list(unannounced(context.cluster.get_tombstones())) == [8]
    sink.status = 202
    ping(context)
    assert sink.taken == ["ch.cern.bigpanda.service.expired 8 v1:expired"]


def test_old_tombstones_are_forgotten(context: Context) -> None:
    ask(context, 9)
    release(context, 9)
    move(context, timedelta(days=13))
    ping(context)
    assert list(context.cluster.get_tombstones()) == ["9"]
    move(context, timedelta(days=2))
    ping(context)
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
    ping(context)
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


def results_event(context: Context, task: int, artifacts: list[str] | None = None) -> Event[Results]:
    data = Results.model_validate({"jeditaskid": task, **({"artifacts": artifacts} if artifacts else {})})
    return Event(EventKey(context.now(), "n1"), EventType.RESULTS, data)


def test_ingest_of_results_uses_what_the_service_remembers(context: Context) -> None:
    ask(context, 50, objective={"metric": "loss", "direction": "maximize"})
    asked: list[Any] = []

    def run(*arguments: Any, **_: Any) -> snapshot.Manifest:
        asked.append(arguments)
        return MANIFEST

    outcome = handlers.ingest(results_event(context, 50), context, run)
    assert asked == [(50, ("s3://panda/hpo/30456789/",), snapshot.Objective("loss", "maximize"), "s3://snapshots/hpo")]
    assert outcome is not None
    assert outcome.id == "50:d1"
    assert outcome.data.model_dump() == {
        "jeditaskid": 50,
        "runs": 2,
        "points": 2,
        "segments": ("seg",),
        "lost": ({"name": "x.tgz", "reason": "is cut short"},),
        "best_value": None,
        "digest": "d1",
    }


def test_ingest_of_a_task_that_ended_does_nothing(context: Context) -> None:
    release(context, 51)
    asked: list[Any] = []

    def run(*arguments: Any, **_: Any) -> snapshot.Manifest:
        asked.append(arguments)
        return MANIFEST

    assert handlers.ingest(visualize_event(context.now() - HOUR, jeditaskid=51), context, run) is None
    assert asked == []


def test_ingest_without_any_artifacts_names_the_field(context: Context) -> None:
    with pytest.raises(Permanent) as refusal:
        handlers.ingest(results_event(context, 52), context, lambda *_: MANIFEST)
    assert refusal.value.field == "data.artifacts"


@pytest.mark.parametrize(
    ("error", "expected"), [(StoreUnavailable("the store is away"), Transient), (AccessDenied("no"), Permanent)]
)
def test_a_store_that_fails_is_passing_or_not(context: Context, error: Exception, expected: type[Exception]) -> None:
    def run(*_: Any, **__: Any) -> snapshot.Manifest:
        raise error

    with pytest.raises(expected, match=str(error)):
        handlers.ingest(results_event(context, 53, ["s3://panda/hpo/53/"]), context, run)


def sweep(context: Context, find_news: Any, seconds: float = 60) -> None:
    handlers.sweep(Event(EventKey(context.now(), "p"), EventType.PING, None), context, find_news, seconds)


def test_a_sweep_tells_of_just_the_tasks_with_something_new(context: Context, sink: Sink, tmp_path: Path) -> None:
    stores = {"snapshot_store": (tmp_path / "snapshots").as_uri(), "artifact_stores": (tmp_path.as_uri(),)}
    settings = context.settings.model_copy(update=stores)
    context = dataclasses.replace(context, settings=settings)
    places = {}
    for task in (70, 71, 72):
        places[task] = tmp_path / str(task)
        places[task].mkdir()
        (places[task] / f"{task}.metrics.1.tgz").write_bytes(tarball(Point(run_id(task))))
        ask(context, task, artifacts=[f"{places[task].as_uri()}/"], max_points=2 if task == 72 else None)
        ingest_task(IngestRequest(task, (places[task].as_uri(),), settings.snapshot_store))
    sweep(context, find_news)
    assert sink.taken == []

    for task in (71, 72):
        (places[task] / f"{task}.metrics.2.tgz").write_bytes(tarball(Point(run_id(task + 100))))
    sweep(context, find_news)
    first = set(sink.taken)
    assert {taken.rpartition(":")[0] for taken in first} == {
        f"ch.cern.bigpanda.task.results {task} {task}:results" for task in (71, 72)
    }
    sweep(context, find_news)  # nobody ingested it meanwhile
    assert len(sink.taken) == 4
    assert set(sink.taken) == first

    for task in (71, 72):
        ingest_task(IngestRequest(task, (places[task].as_uri(),), settings.snapshot_store))
    (places[72] / "72.metrics.3.tgz").write_bytes(b"of a task whose every point is there")
    sweep(context, find_news)
    move(context, timedelta(days=4))
    ask(context, 70, lifetime="P30D", identity="v2", artifacts=[f"{places[70].as_uri()}/"])
    move(context, timedelta(days=4))
    (places[70] / "70.metrics.2.tgz").write_bytes(b"after the last patience was over")
    sweep(context, find_news)
    assert len(sink.taken) == 4


def test_a_store_or_broker_that_fails_costs_its_own_task_only(
    context: Context, sink: Sink, caplog: pytest.LogCaptureFixture
) -> None:
    for task in (75, 76, 77):
        ask(context, task)

    def find(jeditaskid: int, *_: Any) -> tuple[snapshot.Source, ...]:
        if jeditaskid == 75:
            raise StoreUnavailable("the S3 store does not answer")
        if jeditaskid == 76:
            raise RuntimeError("a fault of ours")
        return (snapshot.Source("x.tgz", "s3://panda/x.tgz", 1, "e"),)

    sweep(context, find)
    assert [taken.split()[1] for taken in sink.taken] == ["77"]
    assert {
        (vars(record)["jeditaskid"], getattr(record, "reason", "")) for record in caplog.records if "left" in record.msg
    } == {
        (75, "the S3 store does not answer"),
        (76, ""),
    }
    sink.status = 503
    sweep(context, find)
    assert any("503" in getattr(record, "reason", "") for record in caplog.records)


def test_a_sweep_reads_no_store_that_events_must_not_name(context: Context, sink: Sink) -> None:
    ask(context, 79)
    elsewhere = context.settings.model_copy(update={"artifact_stores": ("s3://other",)})
    asked: list[Any] = []

    def find(*arguments: Any) -> tuple[snapshot.Source, ...]:
        asked.append(arguments)
        return (snapshot.Source("x.tgz", "s3://panda/x.tgz", 1, "e"),)

    sweep(dataclasses.replace(context, settings=elsewhere), find)
    assert (asked, sink.taken) == ([], [])
    sweep(context, find)
    assert len(sink.taken) == 1


def test_a_sweep_ends_though_a_store_hangs(context: Context, sink: Sink) -> None:
    ask(context, 78)
    hold = threading.Event()

    def find(*_: Any) -> tuple[snapshot.Source, ...]:
        hold.wait()
        return ()

    sweep(context, find, seconds=0.1)
    hold.set()
    assert sink.taken == []
