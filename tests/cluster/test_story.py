"""The main job on a real Knative, as its users see it: event in, URL out, runs on a page that sleeps, wakes and ends.

The tests tell one story and run in order.
"""

import json
from base64 import b64decode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page

from bigpanda_laptop.deploy import NAMESPACE
from mlflow_on_demand.live_look import PATIENCE_SECONDS
from support.browser import open_chromium
from support.laptop import expires_at, until
from support.real_cluster import kubectl
from support.real_platform import Platform
from support.runs_page import VIEWPORT, assert_shows_runs

TASK = "task-30456789"
READY = (200, "ch.cern.bigpanda.service.ready")
# The overlay's window, Knative's grace period, and its queue-proxy's 30 s before a Pod ends.
ASLEEP_SECONDS = 180.0


@pytest.fixture(scope="module")
def tab(platform: Platform) -> Iterator[Page]:
    """One physicist's tab, open through the whole story."""
    with open_chromium(f"--host-resolver-rules={platform.target.resolver_rule}") as browser:
        page = browser.new_context(viewport=VIEWPORT).new_page()
        page.clock.install()
        yield page


def fall_asleep(platform: Platform, service: str = TASK) -> None:
    until(lambda: not platform.pods(service), ASLEEP_SECONDS, f"no Pod of {service} is left")


def is_gone(platform: Platform) -> bool:
    """Whether its address is. A request that comes while the Service is deleted may be held for its Pod, in vain."""
    try:
        return platform.get(TASK, patience=5).status_code == 404
    except requests.Timeout:
        return False


def kill(platform: Platform, service: str) -> None:
    """All Pods of a Service at once, without a farewell."""
    assert platform.pods(service)
    kubectl("-n", NAMESPACE, "delete", "pod", *platform.pods(service), "--grace-period=0", "--force", "--wait=false")


def test_the_front_door_answers_with_the_page(platform: Platform) -> None:
    answer = platform.send("wait=60", lifetime="P1D")
    assert (answer.status_code, answer.headers.get("ce-type")) == READY, answer.text
    assert answer.json()["url"] == platform.url(TASK)
    assert platform.ask(30456789) == {**answer.json(), "state": "ready"}


def test_the_page_shows_the_runs_of_the_sample(platform: Platform, tab: Page, tmp_path: Path) -> None:
    tab.goto(platform.url(TASK))
    assert_shows_runs(tab, "digits_0_4", tmp_path / "page.png")


def test_nothing_of_a_secret_is_in_what_describes_the_page(platform: Platform) -> None:
    path = "jsonpath={.data.AWS_SECRET_ACCESS_KEY}"
    secret = b64decode(kubectl("-n", NAMESPACE, "get", "secret", "bigpanda-mlflow-page", "-o", path)).decode()
    for text in (
        kubectl("-n", NAMESPACE, "get", "ksvc,revisions,pods,configmaps", "-o", "yaml"),
        kubectl("-n", NAMESPACE, "logs", "-l", f"serving.knative.dev/service={TASK}", "-c", "mlflow", "--tail=-1"),
        kubectl("-n", NAMESPACE, "logs", "-l", "serving.knative.dev/service=ingest", "-c", "ingest", "--tail=-1"),
    ):
        assert text
        assert secret not in text


def test_a_page_whose_pod_is_killed_is_back_at_the_next_click(platform: Platform) -> None:
    assert platform.get(TASK).status_code == 200
    kill(platform, TASK)
    until(lambda: platform.get(TASK, "/ready").status_code == 200, 120, "the page is back")


def test_with_its_tab_left_open_it_sleeps_and_stays_asleep(platform: Platform, tab: Page) -> None:
    tab.clock.fast_forward((PATIENCE_SECONDS + 1) * 1000)  # for so long it looks for new runs
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    fall_asleep(platform)
    tab.wait_for_timeout(35_000)
    assert asked == []
    assert platform.pods(TASK) == []


def test_the_open_tab_wakes_it_again(platform: Platform, tab: Page, tmp_path: Path) -> None:
    tab.reload()
    assert_shows_runs(tab, "digits_0_4", tmp_path / "page.png")
    assert platform.pods(TASK)


def test_asking_again_extends_it_without_a_new_revision(platform: Platform) -> None:
    before = platform.service(TASK)
    assert before is not None
    answer = platform.send("wait=60", lifetime="P2D")
    assert (answer.status_code, answer.headers.get("ce-type")) == READY, answer.text
    after = platform.service(TASK)
    assert after is not None
    assert expires_at(after) > expires_at(before)
    assert platform.revisions(TASK) == [f"{TASK}-00001"]
    assert after["metadata"]["uid"] == before["metadata"]["uid"]


@pytest.mark.parametrize("function", ["visualize", "front"])
def test_events_survive_the_death_of_a_function(platform: Platform, function: str) -> None:
    task = {"visualize": 11, "front": 12}[function]
    kill(platform, function)
    # BigPanDA sends again what got no 2xx; what got one is carried out.
    until(lambda: platform.send(jeditaskid=task).status_code == 202, 180, "the front door has accepted the event")
    until(lambda: platform.ask(task).get("state") == "ready", 180, f"task {task} is ready")


def test_a_deleted_function_is_back_when_the_overlay_is_applied_again(platform: Platform) -> None:
    kubectl("-n", NAMESPACE, "delete", "ksvc", "visualize", "--wait=true")
    platform.apply()
    answer = platform.send("wait=60", jeditaskid=13)
    assert (answer.status_code, answer.headers.get("ce-type")) == READY, answer.text


def test_applying_the_overlay_again_changes_nothing(platform: Platform) -> None:
    before = kubectl("-n", NAMESPACE, "get", "revisions", "-o", "name")
    platform.apply()
    assert kubectl("-n", NAMESPACE, "get", "revisions", "-o", "name") == before


def test_after_its_lifetime_it_ends_and_its_address_is_gone(platform: Platform) -> None:
    patch = json.dumps({"spec": {"schedule": "* * * * *"}})
    kubectl("-n", NAMESPACE, "patch", "pingsource", "expire", "--type=merge", "-p", patch)
    started = datetime.now(UTC)
    platform.send(at=started, lifetime="PT15S").raise_for_status()
    until(lambda: platform.service(TASK) is None, 240, "the Service is deleted")
    assert datetime.now(UTC) >= started + timedelta(seconds=15)
    until(lambda: is_gone(platform), 120, "the ingress has forgotten it")
    fall_asleep(platform)
    assert platform.ask(30456789)["state"] == "expired"


def test_what_ended_is_not_brought_back_by_a_late_retry(platform: Platform) -> None:
    late = platform.send("wait=60", at=datetime.now(UTC) - timedelta(hours=1), identity="late", lifetime="P2D")
    assert late.headers["ce-type"] == "ch.cern.bigpanda.service.failed"
    assert "expired" in late.json()["reason"]
    assert platform.service(TASK) is None


def test_a_new_event_makes_it_again_and_a_release_ends_it_at_once(platform: Platform) -> None:
    answer = platform.send("wait=60", lifetime="P1D")
    assert (answer.status_code, answer.headers.get("ce-type")) == READY, answer.text
    until(lambda: platform.get(TASK, "/ready").status_code == 200, 120, "the page is back")
    gone = platform.send("wait=60", kind="release", data={"jeditaskid": 30456789})
    assert gone.json() == {"jeditaskid": 30456789, "reason": "released"}
    assert platform.service(TASK) is None
