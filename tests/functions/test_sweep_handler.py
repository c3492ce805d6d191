"""The handler of `sweep` against a real API server, real snapshots and stores that fail."""

import dataclasses
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bigpanda_mlflow import handlers
from bigpanda_mlflow.context import Context
from bigpanda_mlflow.events import Event, EventKey, EventType
from mlflow_on_demand import snapshot
from mlflow_on_demand.errors import StoreUnavailable
from mlflow_on_demand.ingest import IngestRequest, ingest_task
from mlflow_on_demand.news import find_news
from support.hpo_files import Point, run_id, tarball
from support.scenes import ask, move
from support.sink import Sink


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
