"""The decision, and that it converges: any order and number of deliveries ends in the same state."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bigpanda_mlflow.events import Event, EventKey, Visualize
from bigpanda_mlflow.resources import make_service, renew_service
from bigpanda_mlflow.taskservice import read_service
from bigpanda_mlflow.tombstones import Tombstone, bury, read_tombstone
from bigpanda_mlflow.visualization import Create, Keep, Refuse, Renew, Situation, plan_visualize
from support.builders import NOW, SETTINGS, TASK, hours, stored, visualize_event

NOTHING = Situation(None, None, None)


def standing(event: Event[Visualize], stone: Tombstone | None = None) -> Situation:
    raw = stored(make_service(event, SETTINGS))
    return Situation(raw, read_service(raw), stone)


def released(key: EventKey) -> Tombstone:
    return Tombstone(key, NOW, "released", announced=True)


def test_the_first_event_creates() -> None:
    event = visualize_event()
    assert plan_visualize(event, NOTHING, SETTINGS, NOW) == Create(make_service(event, SETTINGS))


def test_the_same_and_older_events_change_nothing() -> None:
    found = standing(visualize_event())
    assert plan_visualize(visualize_event(), found, SETTINGS, NOW) == Keep()
    assert plan_visualize(visualize_event(NOW - hours(1), "e0"), found, SETTINGS, NOW) == Keep()


def test_a_newer_event_renews_the_annotations_and_nothing_else() -> None:
    found, newer = standing(visualize_event()), visualize_event(NOW + hours(1), "e2", owner="bob", lifetime="PT5H")
    plan = plan_visualize(newer, found, SETTINGS, NOW + hours(1))
    assert found.raw is not None
    assert plan == Renew(renew_service(found.raw, newer))
    assert plan.service["spec"] == found.raw["spec"]
    assert plan.service["metadata"]["resourceVersion"] == "1"


def test_a_tombstone_outweighs_what_is_not_newer() -> None:
    event = visualize_event()
    over = Situation(None, None, released(event.key))
    assert plan_visualize(event, over, SETTINGS, NOW) == Refuse(
        "the page was released at 2026-11-23T12:00:00Z, after this event"
    )
    newer = visualize_event(NOW + hours(1), "e2")
    assert isinstance(plan_visualize(newer, over, SETTINGS, NOW + hours(1)), Create)


def test_a_service_that_an_ended_event_brought_back_is_removed() -> None:
    event = visualize_event()
    found = standing(event, released(EventKey(NOW + hours(1), "r")))
    plan = plan_visualize(event, found, SETTINGS, NOW + hours(2))
    assert isinstance(plan, Refuse)
    assert plan.remove == found.service


def test_a_lifetime_that_is_over_makes_no_page() -> None:
    plan = plan_visualize(visualize_event(lifetime="PT1H"), NOTHING, SETTINGS, NOW + hours(1))
    assert isinstance(plan, Refuse)
    assert plan.tombstone == Tombstone(visualize_event().key, NOW + hours(1), "expired", announced=True)


@dataclass
class Model:
    """A cluster of one task, with the handlers' write rules and no network."""

    raw: dict[str, Any] | None = None
    tombstones: dict[str, str] = field(default_factory=dict)

    def visualize(self, event: Event[Visualize]) -> None:
        while True:
            service = None if self.raw is None else read_service(self.raw)
            found = Situation(self.raw, service, read_tombstone(self.tombstones, TASK))
            match plan_visualize(event, found, SETTINGS, NOW + hours(100)):
                case Keep():
                    return
                case Create(made) | Renew(made):
                    self.raw = stored(made)
                case Refuse(_, remove, stone):
                    if stone is not None:
                        self.tombstones = bury(self.tombstones, TASK, stone)
                    self.raw = None if remove is not None else self.raw
                    return

    def release(self, key: EventKey) -> None:
        service = None if self.raw is None else read_service(self.raw)
        if service is not None and service.last > key:
            return
        self.tombstones = bury(self.tombstones, TASK, released(key))
        self.raw = None


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Any], list[Any]]:
    """Distinct events, and a delivery of each at least once in another order."""
    events: list[Any] = []
    for number in range(draw(st.integers(1, 6))):
        at = NOW + timedelta(hours=draw(st.integers(0, 5)))
        if draw(st.booleans()):
            events.append(visualize_event(at, f"v{number}", lifetime=f"PT{draw(st.sampled_from([1, 99, 200, 300]))}H"))
        else:
            events.append(EventKey(at, f"r{number}"))
    repeated = events + draw(st.lists(st.sampled_from(events), max_size=6))
    return events, draw(st.permutations(repeated))


def _key(event: Any) -> EventKey:
    return event if isinstance(event, EventKey) else event.key


def _end(deliveries: list[Any]) -> dict[str, str] | None:
    model = Model()
    for event in deliveries:
        if isinstance(event, EventKey):
            model.release(event)
        else:
            model.visualize(event)
    return None if model.raw is None else model.raw["metadata"]["annotations"]


@given(histories())
def test_the_newest_event_decides_whatever_the_order(history: tuple[list[Any], list[Any]]) -> None:
    events, deliveries = history
    in_order = sorted(events, key=_key)
    assert _end(deliveries) == _end(in_order)
    newest = in_order[-1]
    is_there = not isinstance(newest, EventKey) and newest.key.time + newest.data.lifetime > NOW + hours(100)
    assert (_end(deliveries) is not None) == is_there
