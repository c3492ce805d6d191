"""The traffic block of a Service, at each point of a rollout: pure.

Promises: in a page's block every target names its Revision, so that nothing moves by itself when a new one appears, and
the percents sum to 100. A function's block lets the latest Revision float wherever it may, so that a deployment's next
change of settings takes effect as it would without any rollout.

Knative's webhook (knative/serving, pkg/apis/serving/v1/route_validation.go) takes one target a tag; the same
Revision may be named by several targets.
"""

from collections.abc import Iterable
from typing import Any, Final

Resource = dict[str, Any]

CURRENT: Final = "current"
PREVIOUS: Final = "previous"
CANDIDATE: Final = "candidate"


def make_traffic(current: str, *, candidate: str = "", percent: int = 0, previous: str = "") -> list[Resource]:
    """A page's block: `percent` with the candidate, if there is one, all else with `current`."""
    targets = [_pin(current, 100 - percent if candidate else 100, CURRENT)]
    if candidate:
        targets.append(_pin(candidate, percent, CANDIDATE))
    if previous:
        targets.append(_pin(previous, 0, PREVIOUS))
    return targets


def make_function_traffic(current: str = "", beside: str = "", tag: str = CANDIDATE) -> list[Resource]:
    """A function's block. With `current`, that Revision has all and what floats is the candidate; without, what floats
    has all, and `beside` can be reached under `tag`.
    """
    if current:
        return [_pin(current, 100, CURRENT), {"latestRevision": True, "percent": 0, "tag": CANDIDATE}]
    floating = {"latestRevision": True, "percent": 100, "tag": CURRENT}
    return [floating, *([_pin(beside, 0, tag)] if beside else [])]


def current_revision(service: Resource) -> str:
    """The Revision that the Service's pages are served by: the one tagged `current`, else the one with most traffic.
    Empty before the first is ready.
    """
    main = _main(service.get("spec", {}).get("traffic") or [])
    if not main.get("revisionName"):
        main = _main(service.get("status", {}).get("traffic") or [])
    return str(main.get("revisionName", ""))


def tagged_revision(service: Resource, tag: str) -> str:
    """The Revision that a tag's host reaches by now; empty where the tag is not there (yet)."""
    observed = service.get("status", {}).get("traffic") or []
    return next((str(target.get("revisionName", "")) for target in observed if target.get("tag") == tag), "")


def _main(targets: Iterable[Resource]) -> Resource:
    def weight(target: Resource) -> tuple[bool, int]:
        return target.get("tag") == CURRENT, target.get("percent") or 0

    return max(targets, key=weight, default={})


def _pin(revision: str, percent: int, tag: str) -> Resource:
    return {"revisionName": revision, "latestRevision": False, "percent": percent, "tag": tag}
