"""How busy each page is, from one pass over the fleet's Revisions. Pure.

Of a page that sleeps no more is kept than its number and a time, sixteen bytes: this is the one thing that a step of a
rollout keeps of every page.
"""

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable

from bigpanda_mlflow import labels
from bigpanda_mlflow.names import jeditaskid_of
from bigpanda_mlflow.times import parse_time
from bigpanda_mlflow.traffic import Resource

_LONG_AGO = float("-inf")


class Activities:
    """How busy each page is, and which Revisions with `image` Knative finds at fault."""

    def __init__(self, revisions: Iterable[Resource], image: str) -> None:
        self._pods: Counter[int] = Counter()
        # In the order of their numbers, in which Kubernetes lists them, as long as these have the same length.
        self._tasks = array("Q")
        self._since = array("d")
        self.broken: dict[str, str] = {}
        """Why, by the Revision's name."""
        for revision in revisions:
            self._add(revision, image)

    def order(self, name: str) -> tuple[int, float, str]:
        """A key to sort pages by: those that have slept longest first, those that are awake last; equals by name, so
        that any replica chooses the same.
        """
        task = jeditaskid_of(name) or 0
        place, is_known = self._find(task)
        return self._pods[task], self._since[place] if is_known else _LONG_AGO, name

    def _add(self, revision: Resource, image: str) -> None:
        status = revision.get("status", {})
        conditions = {condition.get("type"): condition for condition in status.get("conditions", [])}
        active, ready = conditions.get("Active", {}), conditions.get("Ready", {})
        if ready.get("status") == "False" and revision["spec"]["containers"][0]["image"] == image:
            self.broken[revision["metadata"]["name"]] = ready.get("message") or ready.get("reason") or "no reason given"
        task = jeditaskid_of(revision["metadata"].get("labels", {}).get(labels.REVISION_OF, ""))
        if task is None:
            return
        if pods := status.get("actualReplicas"):
            self._pods[task] += pods
        try:
            since = parse_time(active.get("lastTransitionTime", "")).timestamp()
        except ValueError:
            return
        place, is_known = self._find(task)
        if is_known:
            self._since[place] = max(self._since[place], since)
        else:
            self._tasks.insert(place, task)
            self._since.insert(place, since)

    def _find(self, task: int) -> tuple[int, bool]:
        """The place of a task, and whether it is there already."""
        place = bisect_left(self._tasks, task)
        return place, place < len(self._tasks) and self._tasks[place] == task
