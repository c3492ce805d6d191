"""The walk along a task's way, up to the first thing that is wrong."""

from collections.abc import Iterable, Iterator

from bigpanda_ops.case import Case
from bigpanda_ops.check_page import check_data, check_revisions, check_service, check_wake
from bigpanda_ops.check_results import check_event, check_ingest, check_snapshot
from bigpanda_ops.findings import Finding, until_wrong

_CHECKS = (check_event, check_ingest, check_snapshot, check_service, check_revisions, check_wake, check_data)


def examine(case: Case) -> Iterable[Finding]:
    """The findings in the order of the way, as they are made; the last may be wrong, all others are passed.

    Raises Unreachable where the cluster does not answer.
    """
    return until_wrong(_walk(case))


def _walk(case: Case) -> Iterator[Finding]:
    for check in _CHECKS:
        yield from check(case)
