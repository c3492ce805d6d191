"""The main job, as its users see it: event in, URL out, runs on a page that sleeps, wakes, is extended, and ends.

One platform for all, started as `make run` starts it. The tests tell one story and run in order.
"""

import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from bigpanda_laptop.deploy import METRICS, SNAPSHOTS
from bigpanda_mlflow.events import EventType
from mlflow_on_demand.live_look import EVERY_SECONDS, PATIENCE_SECONDS
from mlflow_on_demand.pages import STATUS_PATH
from support import hpo_files
from support.laptop import NAMESPACE, Laptop, expires_at, printed_url, running_laptop, until
from support.need import lacking
from support.runs_page import VIEWPORT, assert_shows_runs, run_names

TASK = "task-30456789"
WINDOW = "6s"
ASLEEP_SECONDS = 90.0
LIVE_MS = 240_000


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def laptop(state: Path) -> Iterator[Laptop]:
    with running_laptop(state, "--idle-window", WINDOW) as platform:
        platform.custom.patch_namespaced_custom_object(
            "sources.knative.dev", "v1", NAMESPACE, "pingsources", "expire", {"spec": {"schedule": "* * * * *"}}
        )
        platform.custom.patch_namespaced_custom_object(
            "sources.knative.dev", "v1", NAMESPACE, "pingsources", "sweep", {"spec": {"schedule": "* * * * *"}}
        )
        yield platform


@pytest.fixture(scope="module")
def tab(chromium: Browser, laptop: Laptop) -> Iterator[Page]:
    """One physicist's tab, open through the whole story."""
    context = chromium.new_context(viewport=VIEWPORT)
    page = context.new_page()
    page.clock.install()
    yield page
    context.close()


def test_the_page_shows_the_runs_of_the_sample(laptop: Laptop, tab: Page, tmp_path: Path) -> None:
    tab.goto(printed_url(laptop.lines))
    assert_shows_runs(tab, "digits_0_4", tmp_path / "page.png")


def test_the_printed_address_works_in_curl_as_it_stands(laptop: Laptop) -> None:
    url = printed_url(laptop.lines)
    answer = subprocess.run(["curl", "-sS", "--fail", url], capture_output=True, text=True, check=True, timeout=60)
    assert "<title>MLflow</title>" in answer.stdout


def test_the_printed_event_and_kubeconfig_work_as_they_stand(laptop: Laptop) -> None:
    before = laptop.service(TASK)
    assert before is not None
    text = "".join(laptop.lines)
    command = text[text.index("curl -i") : text.index("State ")]
    said = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, timeout=60).stdout
    assert said.startswith("HTTP/1.1 202")
    until(lambda: (laptop.service(TASK) or before) != before, 60, "the event has extended the page")
    command = text[text.index("curl -H") : text.index("Look ")]
    said = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, timeout=60).stdout
    assert '"state": "ready"' in said
    if shutil.which("kubectl") is None:
        lacking("kubectl is not installed: run tests/install-debian-packages")
    script = text[text.index("export KUBECONFIG") : text.index("Stop ")]
    said = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, timeout=60).stdout
    assert TASK in said


def test_what_a_page_shows_is_not_collected_and_its_use_is_noted(laptop: Laptop, state: Path) -> None:
    store = state / "s3" / SNAPSHOTS
    before = {path for path in store.rglob("*") if path.is_file()}
    answer = laptop.call("retain", kind=EventType.PING.value, data={})
    assert (answer.status_code, answer.content) == (204, b"")
    assert before <= {path for path in store.rglob("*") if path.is_file()}
    assert (store / TASK.removeprefix("task-") / "used").exists()


def test_with_its_tab_left_open_it_sleeps_and_stays_asleep(laptop: Laptop, tab: Page) -> None:
    tab.clock.fast_forward((PATIENCE_SECONDS + 1) * 1000)  # for so long it looks for new runs
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    until(lambda: laptop.is_asleep(TASK), ASLEEP_SECONDS, "no process of the page is left")
    # MLflow's page asks every 30 s where nobody stops it.
    tab.wait_for_timeout(35_000)
    assert asked == []
    assert laptop.is_asleep(TASK)


def test_the_open_tab_wakes_it_again(laptop: Laptop, tab: Page) -> None:
    tab.reload()
    tab.wait_for_url("**/runs*", timeout=90_000)
    assert not laptop.is_asleep(TASK)


def test_a_new_tarball_appears_on_the_open_page_though_nobody_says_so(laptop: Laptop, tab: Page, state: Path) -> None:
    tarball_name = f"digits_0_4.{hpo_files.TASK}.metrics.000050.tgz"
    hpo_files.write_task(state, {tarball_name: hpo_files.tarball(hpo_files.Point(hpo_files.run_id(1), "late-comer"))})
    (state / tarball_name).rename(state / "s3" / METRICS / str(hpo_files.TASK) / tarball_name)
    tab.get_by_text(f"{len(run_names('digits_0_4')) + 1} matching runs").wait_for(timeout=LIVE_MS)


def test_once_all_its_points_are_there_an_open_tab_asks_nothing(laptop: Laptop, tab: Page) -> None:
    laptop.publish(max_points=48)
    until(lambda: laptop.get(TASK, STATUS_PATH).json()["finished"], 60, "the page knows that the task is finished")
    tab.reload()
    tab.get_by_text("matching runs").wait_for()
    until(lambda: laptop.is_asleep(TASK), ASLEEP_SECONDS, "no process of the page is left")
    tab.clock.fast_forward((EVERY_SECONDS + 1) * 1000)
    tab.wait_for_timeout(1000)
    assert laptop.is_asleep(TASK)


def test_asking_again_extends_it_without_a_new_revision(laptop: Laptop) -> None:
    before = laptop.service(TASK)
    assert before is not None
    answer = laptop.call("visualize", lifetime="P2D")
    after = laptop.service(TASK)
    assert answer.status_code == 200
    assert answer.headers["ce-type"] == "ch.cern.bigpanda.service.ready"
    assert after is not None
    assert answer.json() == {
        "jeditaskid": 30456789,
        "url": laptop.url(TASK),
        "expires_at": after["metadata"]["annotations"]["bigpanda.cern.ch/expires-at"],
    }
    assert expires_at(after) > expires_at(before)
    assert laptop.revisions(TASK) == [f"{TASK}-00001"]
    assert after["metadata"]["uid"] == before["metadata"]["uid"]


def test_after_its_lifetime_it_ends_and_its_address_says_so(laptop: Laptop, tab: Page) -> None:
    # The newest request decides, so a short lifetime shortens what is left; PingSource calls `expire` each minute.
    started = datetime.now(UTC)
    laptop.publish(at=started, lifetime="PT15S")
    until(lambda: laptop.service(TASK) is None, 150, "the Service is deleted")
    assert datetime.now(UTC) >= started + timedelta(seconds=15)
    until(lambda: laptop.is_asleep(TASK), 60, "its process is gone")
    answer = laptop.get(TASK, Accept="text/html")
    assert answer.status_code == 404
    tab.goto(printed_url(laptop.lines))
    assert "ended" in tab.inner_text("body")


def test_what_ended_is_not_brought_back_by_a_late_retry(laptop: Laptop) -> None:
    old = datetime.now(UTC) - timedelta(hours=1)
    answer = laptop.call("visualize", at=old, identity="late", lifetime="P2D")
    assert (answer.status_code, answer.headers["ce-type"]) == (200, "ch.cern.bigpanda.service.failed")
    assert "expired" in answer.json()["reason"]
    assert laptop.service(TASK) is None


def test_a_new_event_through_the_broker_makes_it_again(laptop: Laptop) -> None:
    assert laptop.publish(lifetime="P1D").status_code == 202
    until(lambda: laptop.service(TASK) is not None, 30, "the Service is made")
    until(lambda: laptop.get(TASK).status_code == 200, 60, "its page answers")


def test_a_released_task_is_gone_at_once(laptop: Laptop) -> None:
    answer = laptop.call("release", kind="release", data={"jeditaskid": 30456789})
    assert answer.json() == {"jeditaskid": 30456789, "reason": "released"}
    assert laptop.service(TASK) is None
