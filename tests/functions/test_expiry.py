from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from bigpanda_mlflow import labels
from bigpanda_mlflow.events import EventKey
from bigpanda_mlflow.expiry import Ending, plan_expiry
from bigpanda_mlflow.resources import make_service
from bigpanda_mlflow.taskservice import TaskService, read_service
from bigpanda_mlflow.tombstones import Tombstone, bury
from support.builders import NOW, SETTINGS, TASK, hours, stored, visualize_event


def service(task: int = TASK, lifetime: str = "PT1H", **annotations: str) -> TaskService:
    raw = stored(make_service(visualize_event(jeditaskid=task, lifetime=lifetime), SETTINGS))
    raw["metadata"]["annotations"].update({name.replace("_", "-"): text for name, text in annotations.items()})
    found = read_service(raw)
    assert found is not None
    return found


def test_a_service_ends_when_its_lifetime_is_over_and_not_before() -> None:
    one = service()
    assert plan_expiry([one], {}, NOW + hours(1) - timedelta(microseconds=1)) == []
    end = NOW + hours(1)
    assert plan_expiry([one], {}, end) == [Ending(one, Tombstone(one.last, end, "expired"))]


def test_an_interrupted_deletion_is_finished_with_its_own_tombstone() -> None:
    one = service(lifetime="P10D")
    stone = Tombstone(EventKey(NOW + hours(1), "r"), NOW + hours(1), "released", announced=True)
    assert plan_expiry([one], bury({}, TASK, stone), NOW + hours(2)) == [Ending(one, stone)]


def test_a_newer_request_than_the_tombstone_stays() -> None:
    stone = Tombstone(EventKey(NOW - hours(1), "r"), NOW - hours(1), "released", announced=True)
    assert plan_expiry([service()], bury({}, TASK, stone), NOW) == []


def test_an_unreadable_expiry_stays() -> None:
    raw = stored(make_service(visualize_event(), SETTINGS))
    raw["metadata"]["annotations"][labels.EXPIRES_AT] = "tomorrow"
    edited = read_service(raw)
    assert edited is not None
    assert plan_expiry([edited], {}, datetime(2100, 1, 1, tzinfo=UTC)) == []


@given(st.lists(st.integers(1, 100), unique=True), st.integers(0, 120))
def test_exactly_what_is_over_ends(lifetimes: list[int], hour: int) -> None:
    services = [service(task=number, lifetime=f"PT{number}H") for number in lifetimes]
    ended = [ending.service.jeditaskid for ending in plan_expiry(services, {}, NOW + hours(hour))]
    assert ended == [number for number in lifetimes if number <= hour]
