"""Stock `mlflow server` and ours over the same task: what the one answers to a read, the other answers."""

from typing import Any

import httpx
import pytest

from mlflow_on_demand.readonly import API_READS, GRAPHQL, OTHER_READS
from support.both_servers import Both
from support.parity_requests import make_reads

# Of these MLflow has no good answer to give here.
NEVER_GOOD = {
    "GET 3.0/mlflow/workspaces": 503,  # workspaces are off
    "POST 2.0/mlflow/artifacts/presigned-download-url": 501,  # the page then asks for the file itself
}


def told(answer: httpx.Response, content: bytes) -> tuple[int, str | None, str | None, Any]:
    """What counts in an answer: JSON by its value (MLflow's two web frameworks write it differently)."""
    kind = answer.headers.get("content-type")
    body = httpx.Response(200, content=content).json() if kind == "application/json" and content else content
    return answer.status_code, kind, answer.headers.get("content-disposition"), body


@pytest.mark.parametrize("route", sorted(API_READS | OTHER_READS | {GRAPHQL}))
def test_a_read_is_answered_as_by_stock(route: str, both: Both) -> None:
    reads = [read for read in make_reads(both.task.ids) if read.route == route]
    statuses = set()
    for read in reads:
        stock, ours = both.ask_stock(read), both.ask_ours(read)
        # A file is sent as it is, whatever URIs it holds.
        is_file = "content-disposition" in ours.headers
        expected = told(stock, stock.content if is_file else both.task.as_ours(stock.content))
        assert told(ours, ours.content) == expected, read
        statuses.add(ours.status_code)
    assert NEVER_GOOD.get(route, 200) in statuses
