"""Five pages upgraded from one MLflow release to another and back, on a real Knative, by two images named by digest.

The tests tell one story and run in order: an operator's command starts the rollout through the front door, pings take
its steps (the PingSource's, and some between them), another command takes it back.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from bigpanda_laptop.deploy import METRICS, NAMESPACE
from bigpanda_mlflow import labels
from bigpanda_mlflow.rollout_services import image_of, state_of
from bigpanda_mlflow.rollout_state import Rollout, RolloutPhase, ServicePhase, newest_rollout
from mlflow_on_demand.mlflow_facts import mlflow_version
from support.laptop import make_request, until
from support.real_cluster import kubectl, port_forwarded
from support.real_platform import FLEET, Images, Platform
from support.releases import other_version

PAGES = [f"task-{task}" for task in FLEET]
STEP_SECONDS = 300.0
"""For images to be pulled, pages to be woken by two cores, and the two minutes in which late pages are caught up."""
ASLEEP_SECONDS = 180.0
PROGRAM = Path(sys.executable).with_name("bigpanda-mlflow")
PING: Final = """
import sys, urllib.error, urllib.request
url, *headers = sys.argv[1:]
try:
    urllib.request.urlopen(urllib.request.Request(url, b"{}", dict(one.split("=", 1) for one in headers)), timeout=250)
except urllib.error.HTTPError as error:
    print(error.code, error.read().decode())
"""

Operator = Callable[..., Any]


@pytest.fixture(scope="module")
def pages(platform: Platform) -> Iterator[list[str]]:
    """Pages that show results of the present release; released at the end."""
    for task in FLEET:
        platform.send(jeditaskid=task, artifacts=[f"s3://{METRICS}/{task}/"], lifetime="P1D").raise_for_status()
    for page in PAGES:
        until(lambda: platform.get(page, "/ready").status_code == 200, 180, f"{page} shows its results")  # noqa: B023
    yield PAGES
    for task in FLEET:
        platform.send(kind="release", data={"jeditaskid": task})


@pytest.fixture(scope="module")
def operator(platform: Platform) -> Iterator[Operator]:
    """`bigpanda-mlflow` with an operator's token: what it prints in JSON."""
    (front, *_) = platform.pods("front")
    with port_forwarded(NAMESPACE, f"pod/{front}", 8080) as address:
        door = {"BIGPANDA_FRONT_URL": address, "BIGPANDA_TOKEN": platform.ops_token, "BIGPANDA_NAMESPACE": NAMESPACE}

        def run(*arguments: str) -> Any:
            command = [str(PROGRAM), "rollout", *arguments, "--json"]
            done = subprocess.run(command, env={**os.environ, **door}, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            return json.loads(done.stdout)

        yield run


def get(kind: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(kubectl("-n", NAMESPACE, "get", kind, name, "-o", "json"))
    return found


def advance(platform: Platform, *wanted: RolloutPhase) -> Rollout:
    """The record once the rollout has come there, with pings between those of the PingSource."""

    def there() -> Rollout | None:
        record = newest_rollout(get("configmap", labels.ROLLOUTS).get("data", {}))
        if record is not None and record.phase in wanted:
            return record
        assert record is None or record.phase is not RolloutPhase.HALTED, record.reason
        print(record and record.phase, ping(platform))
        time.sleep(3)
        return None

    found: Rollout = until(there, STEP_SECONDS, f"the rollout is {' or '.join(wanted)}")
    return found


def ping(platform: Platform) -> str:
    """What `rollout` says to a ping of ours if it is no success, once its steps are taken."""
    (front, *_) = platform.pods("front")
    headers, _ = make_request("dev.knative.sources.ping", data={})
    told = [f"http://rollout.{NAMESPACE}.svc.cluster.local", *(f"{name}={value}" for name, value in headers.items())]
    return kubectl("-n", NAMESPACE, "exec", front, "-c", "front", "--", "python", "-c", PING, *told)


def routed(service: dict[str, Any]) -> list[tuple[str, int, str]]:
    """Tag, percent and Revision of each target that Knative routes to."""
    targets = service["status"]["traffic"]
    return [(target.get("tag", ""), target.get("percent", 0), target["revisionName"]) for target in targets]


def await_version(platform: Platform, host: str, version: str) -> None:
    until(lambda: platform.get(host, "/version").text == version, 120, f"{host} is MLflow {version}")


def test_a_command_takes_the_whole_fleet_to_the_new_image(
    platform: Platform, pages: list[str], operator: Operator, images: Images
) -> None:
    operator("start", images.other, other_version())
    record = advance(platform, RolloutPhase.COMPLETING, RolloutPhase.COMPLETED)
    assert (record.image, record.failed) == (images.other, 0)
    for page in pages:
        service = get("ksvc", page)
        state = state_of(service)
        assert state is not None
        assert (state.phase, state.previous) == (ServicePhase.PROMOTED, f"{page}-00001")
        assert sorted(platform.revisions(page)) == sorted([state.previous, state.current])
        until(
            lambda: routed(get("ksvc", page)) == [("current", 100, state.current), ("previous", 0, state.previous)],  # noqa: B023
            60,
            f"{page} is routed to its new Revision",
        )
        (container,) = get("revision", state.current)["spec"]["containers"]
        assert container["image"] == images.other


def test_each_page_shows_its_results_in_the_new_release_and_the_old_one_is_a_tag_away(
    platform: Platform, pages: list[str]
) -> None:
    for page in pages:
        await_version(platform, page, other_version())
        until(lambda: platform.get(page, "/ready").status_code == 200, 120, f"{page} shows its results")  # noqa: B023
        said = platform.get(page, "/ready").json()
        assert (said["version"], "content" in said) == (other_version(), True)
    await_version(platform, f"previous-{pages[0]}", mlflow_version())


def test_the_functions_of_that_image_change_over_when_the_fleet_is_through(
    platform: Platform, operator: Operator, images: Images
) -> None:
    record = advance(platform, RolloutPhase.COMPLETED)
    assert (record.promoted, record.failed) == (record.services, 0)
    assert [image_of(get("ksvc", name)) for name in ("ingest", "sweep")] == [images.other] * 2
    assert operator("status")["well"]


def test_all_pages_sleep_again(platform: Platform, pages: list[str]) -> None:
    for page in pages:
        until(lambda: not platform.pods(page), ASLEEP_SECONDS, f"no Pod of {page} is left")  # noqa: B023


def test_a_command_takes_it_all_back(platform: Platform, pages: list[str], operator: Operator, images: Images) -> None:
    operator("rollback")
    advance(platform, RolloutPhase.ROLLED_BACK)
    for page in pages:
        old = f"{page}-00001"
        assert routed(get("ksvc", page)) == [("current", 100, old)]
        until(lambda: platform.revisions(page) == [old], 60, f"only {old} is left")  # noqa: B023
        await_version(platform, page, mlflow_version())
    assert [image_of(get("ksvc", name)) for name in ("ingest", "sweep")] == [images.mlflow] * 2
