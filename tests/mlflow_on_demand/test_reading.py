import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mlflow_on_demand.ingest import IngestRequest, ingest_task
from mlflow_on_demand.mlflow_facts import schema_revision
from mlflow_on_demand.reading import READING, Reading, find_reading, tell_reading
from mlflow_on_demand.snapshot import open_snapshot_store
from mlflow_on_demand.store import Store
from mlflow_on_demand.stores import open_store
from support.hpo_files import TASK, Point, name, run_id, tarball, write_task
from support.laptop import until


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store((tmp_path / "told").as_uri())


@pytest.mark.parametrize("count", [0, 1, 19, 20, 21, 47, 1000])
def test_it_is_told_in_order_seldom_and_never_too_much(store: Store, count: int) -> None:
    told = []
    for taken, one in enumerate(tell_reading(store, count)):
        found = find_reading(store)
        assert one == taken
        assert found is not None
        assert found.read <= taken
        told.append(found)
    assert len(set(told)) <= 20
    assert all(found.tarballs == count for found in told)
    assert (told[0] == Reading(0, count)) if count else (find_reading(store) is None)


def test_what_is_no_reading_is_none(store: Store, tmp_path: Path) -> None:
    assert find_reading(store) is None
    (tmp_path / "told").mkdir()
    (tmp_path / "told" / READING).write_bytes(b"{")
    assert find_reading(store) is None


def test_an_ingest_tells_while_it_reads_and_leaves_nothing_behind(tmp_path: Path) -> None:
    names = (name(1), name(2))
    artifacts = write_task(tmp_path / "hpo", {names[0]: tarball(Point(run_id(1)))})
    pipe = tmp_path / "hpo" / names[1]
    os.mkfifo(pipe)  # whoever opens it waits for us
    request = IngestRequest(TASK, tuple(f"{artifacts}/{one}" for one in names), (tmp_path / "store").as_uri())
    with ThreadPoolExecutor(1) as pool:
        ingest = pool.submit(ingest_task, request)
        content = tarball(Point(run_id(2)))
        with pipe.open("wb") as held:
            published = open_snapshot_store(request.snapshot_store, TASK, schema_revision())
            until(lambda: find_reading(published) == Reading(1, 2), 60, "that one of two is read")
            held.write(content)
        assert ingest.result().manifest.runs == 2
    written = {path.name for path in (tmp_path / "store").rglob("*") if path.is_file()}
    assert "manifest.json" in written
    assert READING not in written
