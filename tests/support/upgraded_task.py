"""A task's page on the embedded Knative in the middle of an upgrade: one Service, a Revision of each MLflow release.

What a rollout does step by step is done here by hand, by the same patches.
"""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from bigpanda_mlflow.resources import make_service
from bigpanda_mlflow.settings import Settings
from embedded.kit import Cluster, eventually, ready, services
from mlflow_on_demand.mlflow_facts import mlflow_version
from support.builders import ENVIRONMENT, visualize_event
from support.hpo_files import TASK, Point, name, run_id, tarball, write_task
from support.releases import ingest_with, other_python, other_version

SERVICE = f"task-{TASK}"
CURRENT, CANDIDATE = f"{SERVICE}-00001", f"{SERVICE}-00002"
_FILESTORE = Path(__file__).parents[1] / "data" / "filestores" / "3.17.2.tgz"
_IMAGE = "registry.example/test/mlflow-{}@sha256:" + "0" * 64
_PODS = """
["test/mlflow-{version}"]
entrypoint = ["{python}", "-W", "ignore", "-m", "mlflow_on_demand.server"]
env = {{ HOST = "127.0.0.1" }}
"""


@dataclass(frozen=True)
class UpgradedTask:
    """The Service, and the folder `store` with the snapshots of both releases."""

    cluster: Cluster
    store: Path

    @property
    def netloc(self) -> str:
        """The page's host and port; a tag's are these with the tag and a hyphen in front."""
        return f"{SERVICE}.default.localhost:{self.cluster.endpoints['ingress'].rpartition(':')[2]}"

    def get(self, path: str, tag: str = "") -> httpx.Response:
        """A GET of the page, or of one Revision by its tag."""
        return self.cluster.web.get(path, headers={"host": f"{tag}-{self.netloc}" if tag else self.netloc})

    def search(self, tag: str, **more: Any) -> dict[str, Any]:
        """A page of runs, from one Revision."""
        headers = {"host": f"{tag}-{self.netloc}"}
        asked = {"experiment_ids": [str(TASK)], **more}
        answer = self.cluster.web.post("/ajax-api/2.0/mlflow/runs/search", json=asked, headers=headers)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def patch(self, *operations: dict[str, Any]) -> None:
        """Apply a JSON patch to the Service, and wait until it has come about."""
        path, kind = f"{services()}/{SERVICE}", {"content-type": "application/json-patch+json"}
        answer = self.cluster.api.patch(path, json=list(operations), headers=kind)
        assert answer.status_code == 200, answer.text
        eventually(lambda: ready(self.cluster.get(path)))

    def add_candidate(self) -> None:
        """A Revision of the other release beside the present one, without traffic of its own but by its tag."""
        image = {"op": "replace", "path": "/spec/template/spec/containers/0/image"}
        traffic = make_traffic(100, {"latestRevision": True})
        self.patch({**image, "value": _IMAGE.format(other_version())}, traffic)
        eventually(lambda: self.get("/ready", "candidate").status_code == 200)

    def split(self, percent: int) -> None:
        """So many of 100 requests to the present release, the rest to the other."""
        self.patch(make_traffic(percent, {"revisionName": CANDIDATE}))

    def ingest_more_with_the_other_release(self) -> None:
        """One more tarball, which the present release does not know yet; returns when the candidate shows it."""
        tarballs = write_task(self.store.with_name("tarballs"), {name(2): tarball(Point(run_id(2), "late-comer"))})
        before = self.get("/health", "candidate").json()["content"]
        ingest_with(other_python(), tarballs, self.store.as_uri(), "loss")
        eventually(lambda: self.get("/health", "candidate").json()["content"] != before)


def make_traffic(percent: int, candidate: dict[str, Any]) -> dict[str, Any]:
    """The operation that gives the present release so many of 100 requests."""
    current = {"revisionName": CURRENT, "percent": percent, "tag": "current"}
    rest = {**candidate, "percent": 100 - percent, "tag": "candidate"}
    return {"op": "add", "path": "/spec/traffic", "value": [current, rest]}


@contextmanager
def serving_both_releases(folder: Path) -> Iterator[UpgradedTask]:
    """The task, ingested by both, its page by the present one, in an empty folder; half a minute."""
    pythons = {mlflow_version(): sys.executable, other_version(): other_python()}
    tarballs, store = folder / "tarballs", folder / "store"
    tarballs.mkdir()
    shutil.copy(_FILESTORE, tarballs / name(1))
    for python in pythons.values():
        ingest_with(python, tarballs.as_uri(), store.as_uri(), "loss")
    images = folder / "images.toml"
    images.write_text("".join(_PODS.format(version=version, python=python) for version, python in pythons.items()))
    with Cluster(folder / "state", images) as cluster:
        task = UpgradedTask(cluster, store)
        environment = {
            **ENVIRONMENT,
            "BIGPANDA_NAMESPACE": "default",
            "BIGPANDA_MLFLOW_IMAGE": _IMAGE.format(mlflow_version()),
            "BIGPANDA_SNAPSHOT_STORE": store.as_uri(),
            "BIGPANDA_PAGE_URL": f"http://{task.netloc}".replace(SERVICE, "{service}"),
        }
        settings = Settings.from_environment(environment)
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": settings.page_secret}}
        cluster.create("/api/v1/namespaces/default/secrets", secret)
        cluster.create(services(), make_service(visualize_event(), settings))
        eventually(lambda: ready(cluster.get(f"{services()}/{SERVICE}")))
        yield task
