"""Stock `mlflow server` and ours over the same task: what the one answers to a read, the other answers."""

import pytest

from mlflow_on_demand.readonly import API_READS, GRAPHQL, OTHER_READS
from support.both_servers import Both
from support.parity_requests import make_reads

# Of these MLflow has no good answer to give here.
NEVER_GOOD = {
    "GET 3.0/mlflow/workspaces": 503,  # workspaces are off
    "POST 2.0/mlflow/artifacts/presigned-download-url": 501,  # the page then asks for the file itself
}


@pytest.mark.parametrize("route", sorted(API_READS | OTHER_READS | {GRAPHQL}))
def test_a_read_is_answered_as_by_stock(route: str, both: Both) -> None:
    reads = [read for read in make_reads(both.task.ids) if read.route == route]
    statuses = {both.assert_same(read) for read in reads}
    assert NEVER_GOOD.get(route, 200) in statuses
