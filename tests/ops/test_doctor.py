"""The doctor and real faults, one a task: it names the first thing that is wrong, and nothing else."""

import base64
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ops.conftest import Ops
from support.hpo_files import Point, run_id, tarball
from support.laptop import KNATIVE, NAMESPACE, hour_ago, until

SAMPLE = 30456789
GOOD = tarball(Point(run_id(1)))
NOWHERE = "http://127.0.0.1:1"


@pytest.fixture(scope="module")
def tasks(ops: Ops) -> Ops:
    """Tasks that are asked for all at once, so that none is waited for alone."""
    ops.ask(11, ops.put(11, {}))
    ops.ask(12, ops.put(12, {"1": b"no tarball", "2": GOOD[:50]}))
    ops.ask(13, ops.put(13, {"1": tarball(Point(run_id(2), lifecycle="deleted"))}))
    ops.ask(14, ops.put(14, {"1": GOOD}))
    ops.ask(15, ops.put(15, {"1": GOOD}))
    ops.ask(16, ops.put(16, {"1": GOOD}))
    for task in (12, 13, 14, 15, 16):
        ops.snapshots(task)
    return ops


def patch_service(ops: Ops, task: int, container: dict[str, Any]) -> None:
    service = ops.laptop.service(f"task-{task}")
    assert service is not None
    service["spec"]["template"]["spec"]["containers"][0] |= container
    ops.laptop.custom.replace_namespaced_custom_object(plural="services", name=f"task-{task}", body=service, **KNATIVE)


@contextmanager
def changed(ops: Ops, kind: str, name: str, data: dict[str, str]) -> Iterator[None]:
    """A Secret or ConfigMap with other data, and afterwards as it was."""
    read = getattr(ops.laptop.core, f"read_namespaced_{kind}")
    patch = getattr(ops.laptop.core, f"patch_namespaced_{kind}")
    before = {key: read(name, NAMESPACE).data.get(key) for key in data}
    patch(name, NAMESPACE, {"data": data})
    yield
    patch(name, NAMESPACE, {"data": before})


def test_all_is_well_asleep_or_awake(ops: Ops) -> None:
    assert ops.doctor(SAMPLE) == (0, "", "")
    said = ops.run("doctor", str(SAMPLE), "--no-wake").stdout
    assert "All is well with task 30456789." in said
    assert "\x1b" not in said
    until(lambda: ops.laptop.is_asleep(f"task-{SAMPLE}"), 90, "the page sleeps")
    said = ops.run("doctor", str(SAMPLE), "--no-wake").stdout
    assert "it was asleep" in said
    assert ops.laptop.is_asleep(f"task-{SAMPLE}")


def test_a_task_that_nobody_asked_for(ops: Ops) -> None:
    assert ops.doctor(404) == (1, "event", "nobody has asked for this task's page, or it ended long ago")


def test_a_task_that_ended(ops: Ops) -> None:
    ops.ask(21, ["s3://panda/21/"])
    until(lambda: ops.laptop.service("task-21"), 60, "task 21 has a page")
    assert ops.laptop.call("release", kind="release", data={"jeditaskid": 21}).status_code == 200
    code, stage, text = ops.doctor(21)
    assert (code, stage) == (1, "event")
    assert text.startswith("the page was released at 20")


def test_a_task_whose_lifetime_is_over(ops: Ops) -> None:
    ops.ask(22, ["s3://panda/22/"], at=hour_ago(), lifetime="PT3604S")
    until(lambda: ops.laptop.service("task-22"), 60, "task 22 has a page")
    code, stage, text = until(lambda: (said := ops.doctor(22))[1] == "event" and said, 60, "its lifetime is over")
    assert (code, stage) == (1, "event")
    assert text.startswith("its lifetime was over at 20")
    assert ops.laptop.call("expire", kind="dev.knative.sources.ping", data={}).status_code == 204
    assert ops.doctor(22)[2].startswith("the page expired at 20")


def test_an_event_that_was_refused(ops: Ops) -> None:
    refused = ops.run("send", "visualize", "23", "--owner", "x", "-a", "s3://elsewhere/", "--lifetime", "P1D")
    assert (refused.returncode, "data.artifacts[0]" in refused.stderr) == (1, True)
    code, stage, text = ops.doctor(23)
    assert (code, stage) == (1, "event")
    assert text.startswith("its event was refused: is outside the stores that this deployment reads (field data.art")


def test_no_tarballs(tasks: Ops) -> None:
    text = "there is no metrics tarball of this task at s3://panda/11/"
    assert tasks.doctor(11) == (1, "ingest", text)


def test_tarballs_that_are_all_lost(tasks: Ops) -> None:
    code, stage, text = tasks.doctor(12)
    assert (code, stage) == (1, "ingest")
    assert text.startswith("none of its 2 tarballs could be used: 1 of them: ")


def test_tarballs_without_a_run(tasks: Ops) -> None:
    text = "the snapshot holds no run: none of 1 tarballs has an evaluated point in it"
    assert tasks.doctor(13) == (1, "data", text)


def test_a_store_that_denies_or_is_away(ops: Ops) -> None:
    own = {"AWS_ACCESS_KEY_ID": "somebody", "AWS_SECRET_ACCESS_KEY": "else", "AWS_REGION": "us-east-1"}
    secret = ops.laptop.core.read_namespaced_secret("bigpanda-mlflow-stores", NAMESPACE).data
    endpoint = base64.b64decode(secret["AWS_ENDPOINT_URL_S3"]).decode()
    code, stage, text = ops.doctor(SAMPLE, **own, AWS_ENDPOINT_URL_S3=endpoint)
    assert (code, stage) == (1, "ingest")
    assert text.startswith("the snapshot store s3://snapshots denies access: ")
    code, stage, text = ops.doctor(SAMPLE, **own, AWS_ENDPOINT_URL_S3=NOWHERE)
    assert (code, stage) == (3, "ingest")
    assert text.startswith("the snapshot store s3://snapshots does not answer: ")


def test_a_snapshot_in_another_schema(tasks: Ops) -> None:
    (folder,) = tasks.snapshots(14)
    folder.rename(folder.with_name("0123456789ab"))
    code, stage, text = tasks.doctor(14)
    assert (code, stage) == (1, "snapshot")
    assert text.startswith("there are snapshots for MLflow 3.17.2 (0123456789ab), but none for the schema")


def test_a_page_that_hangs_says_where(tasks: Ops) -> None:
    with changed(
        tasks, "secret", "bigpanda-mlflow-page", {"AWS_ENDPOINT_URL_S3": base64.b64encode(NOWHERE.encode()).decode()}
    ):
        code, stage, text = tasks.doctor(15, "--patience", "8")
    assert (code, stage) == (1, "wake")
    assert text.startswith("it woke, but has not begun to look for its snapshot (stage starting, ")
    assert "Trying again" in text


def test_an_image_that_cannot_be_pulled(tasks: Ops) -> None:
    service = tasks.laptop.service("task-16")
    assert service is not None
    metadata = {key: service["metadata"][key] for key in ("labels", "annotations")}
    template = service["spec"]["template"]
    template["spec"]["containers"][0]["image"] = "nowhere/at-all:1"
    body = {**service, "metadata": {**metadata, "name": "task-17"}, "spec": {"template": template}}
    del body["status"]
    tasks.put(17, {})
    shutil.copytree(tasks.state / "s3/snapshots/16", tasks.state / "s3/snapshots/17")
    tasks.laptop.custom.create_namespaced_custom_object(plural="services", body=body, **KNATIVE)
    code, stage, text = until(lambda: "pulled" in (said := tasks.doctor(17))[2] and said, 60, "it fails")
    assert (code, stage) == (1, "service")
    assert text.startswith("the page cannot be served: the image nowhere/at-all:1 cannot be pulled: ")


def test_a_newest_revision_that_does_not_start(tasks: Ops) -> None:
    patch_service(tasks, 16, {"image": "nowhere/at-all:2"})
    code, stage, text = until(lambda: "pulled" in (said := tasks.doctor(16))[2] and said, 60, "it fails")
    assert (code, stage) == (1, "revision")
    assert text.startswith("its Revision task-16-00002 cannot start: the image nowhere/at-all:2 cannot be pulled: ")
    assert text.endswith("; the page still shows the Revision before it")
    patch_service(tasks, 16, {"image": "bigpanda-mlflow/mlflow", "command": ["false"]})
    code, stage, text = until(lambda: (said := tasks.doctor(16))[1] == "wake" and said, 60, "it is woken")
    assert "the ingress answers 503" in text


def test_an_address_that_leads_nowhere(ops: Ops) -> None:
    with changed(ops, "config_map", "bigpanda-mlflow", {"BIGPANDA_PAGE_URL": "http://{service}.bigpanda.localhost:1"}):
        code, stage, text = ops.doctor(SAMPLE)
    assert (code, stage) == (3, "wake")
    assert text.endswith("cannot be reached from here (nothing listens there)")
