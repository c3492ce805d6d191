"""What a rollout asks of the API for each page is the same in a fleet of any size."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from bigpanda_mlflow.resources import make_service
from bigpanda_mlflow.verification import Verdict
from embedded.kit import eventually
from support.builders import visualize_event
from support.rollouts import World, complete
from support.watched_calls import Call, watch_calls

PAGES = "/apis/serving.knative.dev/"


def test_calls_grow_as_the_fleet_does(make_world: Callable[..., World]) -> None:
    small, large = (count_calls(make_world(BIGPANDA_ROLLOUT_COHORTS="2,50%,100%"), size) for size in (20, 60))
    more = Counter({kind: large[kind] - small[kind] for kind in large})
    # Each page: its candidate and its promotion are written, its Revisions are listed. Nothing else grows.
    assert +more == {("PUT", "services/*"): 2 * 40, ("GET", "revisions"): 40}


def count_calls(world: World, size: int) -> Counter[tuple[str, str]]:
    """Calls about Services and Revisions in a rollout over so many sleeping pages, by method and collection.

    Left out: what goes by the clock (the Lease, looks at the record, at a Service until Knative routes to its
    candidate), and what was refused because the cluster wrote at the same moment.
    """
    cluster = world.context.cluster
    made = (make_service(visualize_event(jeditaskid=task), world.context.settings) for task in range(1, size + 1))
    with ThreadPoolExecutor(8) as clients:
        list(clients.map(cluster.create_service, made))
    eventually(lambda: all(service.get("status", {}).get("traffic") for service in cluster.list_services()))
    calls: list[Call] = []
    watch_calls(cluster.api, calls.append)
    world.publish(2)
    while not complete(world.record):
        world.step(verify=lambda *_: Verdict(ok=True))
        world.wait(20)
    assert world.record.promoted == size
    counts = Counter((call.method, kind_of(call.path)) for call in calls if call.status == 200 and PAGES in call.path)
    del counts["GET", "services/*"]
    return counts


def kind_of(path: str) -> str:
    """`services`, or `services/*` for one of them."""
    collection, *name = path.partition("/namespaces/")[2].split("/")[1:]
    return f"{collection}/*" if name else collection
