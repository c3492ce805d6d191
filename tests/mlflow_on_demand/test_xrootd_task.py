"""A task whose tarballs and snapshot both lie on a real XRootD server, as they do on EOS: ingested, then served."""

import uuid
from pathlib import Path

from mlflow_on_demand.ingest import IngestRequest, ingest_task
from mlflow_on_demand.snapshot import Objective
from support.hpo_files import TASK, Point, name, run_id, tarball, write_task
from support.task_server import serving
from support.xrootd_server import XRootDServer

LOSS = Objective("loss", "minimize")


def test_from_tarballs_to_pages(xrootd_server: XRootDServer, tmp_path: Path) -> None:
    place = uuid.uuid4().hex
    points = {number: tarball(Point(run_id(number), artifacts={"plots/a.html": b"<b>"})) for number in (1, 2, 3)}
    write_task(xrootd_server.data / place / "panda", {name(number): content for number, content in points.items()})
    write_task(xrootd_server.data / place / "more", {name(4): tarball(Point(run_id(4)))})
    folder, single = xrootd_server.uri(f"{place}/panda/"), xrootd_server.uri(f"{place}/more/{name(4)}")
    (xrootd_server.data / place).chmod(0o777)  # the server is another user
    store = xrootd_server.uri(f"{place}/snapshots")

    request = IngestRequest(TASK, (folder, single), store, LOSS)
    first = ingest_task(request)
    assert (first.changed, first.manifest.runs, first.manifest.lost) == (True, 4, ())
    assert not ingest_task(request).changed

    with serving(store, str(tmp_path)) as server:
        server.wait_for("ready")
        experiment = first.manifest.experiments[0].id
        found = server.ask("POST", "/ajax-api/2.0/mlflow/runs/search", json={"experiment_ids": [experiment]})
        runs = found.json()["runs"]
        assert len(runs) == 4
        artifact = {"run_uuid": min(one["info"]["run_id"] for one in runs), "path": "plots/a.html"}
        assert server.ask("GET", "/get-artifact", params=artifact).content == b"<b>"
