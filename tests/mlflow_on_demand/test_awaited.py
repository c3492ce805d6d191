"""When a task counts as finished, and how its page learns it: through the manifest that ingest publishes."""

from pathlib import Path

import pytest

from mlflow_on_demand.awaited import Awaited
from mlflow_on_demand.ingest import IngestRequest, ingest_task
from mlflow_on_demand.snapshot import find_manifest, open_snapshot_store
from mlflow_on_demand.stage import Stage, Status
from support.hpo_files import TASK, Point, name, run_id, tarball, write_task


@pytest.mark.parametrize(
    ("points", "tarballs", "lost", "published", "finished_at"),
    [
        (None, 0, 0, 0, 1100),  # so long after the page was asked for
        (None, 3, 0, 1050, 1150),  # or after the last snapshot
        (4, 3, 0, 1050, 1150),
        (4, 4, 0, 1050, 0),
        (4, 5, 0, 1050, 0),
        (4, 4, 1, 1050, 1150),  # what is lost may come anew
    ],
)
def test_from_when_on_a_task_is_finished(
    points: int | None, tarballs: int, lost: int, published: int, finished_at: int
) -> None:
    assert Awaited(points, asked=1000, patience=100).finished_at(tarballs, lost, published) == finished_at


def test_a_page_is_told_when_that_is_known() -> None:
    assert not Status(Stage.READY).is_finished(1e12)
    assert [Status(Stage.READY, finished_at=100).is_finished(now) for now in (99, 100, 100.5)] == [False, False, True]


def test_it_is_published_though_nothing_else_is_new(tmp_path: Path) -> None:
    artifacts = write_task(tmp_path / "tarballs", {name(one): tarball(Point(run_id(one))) for one in (1, 2)})

    def ingest(awaited: Awaited | None) -> tuple[bool, int | None, str]:
        store = (tmp_path / "store").as_uri()
        result = ingest_task(IngestRequest(TASK, (artifacts,), store, awaited=awaited))
        found = find_manifest(open_snapshot_store(store, TASK, result.manifest.schema_revision))
        assert found is not None
        assert (found.manifest, found.manifest.awaited) == (result.manifest, result.manifest.awaited)
        finished_at = found.finished_at
        return result.changed, None if finished_at is None else max(finished_at - found.at, 0), found.manifest.digest

    changed, finished, digest = ingest(None)
    assert (changed, finished) == (True, None)
    assert ingest(Awaited(3, 0, 60)) == (False, 60, digest)
    assert ingest(Awaited(2, 0, 60)) == (False, 0, digest)
    assert ingest(None) == (False, 0, digest)  # nobody asked for anything else
    write_task(tmp_path / "tarballs", {name(3): tarball(Point(run_id(3)))})
    assert ingest(Awaited(4, 0, 60))[:2] == (True, 60)
