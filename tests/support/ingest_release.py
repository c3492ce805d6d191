"""What the function `ingest` does in an image, run by the Python of whichever release is to write its snapshot.

python -m support.ingest_release <jeditaskid> <tarballs> <snapshot store> <metric>
"""

import sys

from mlflow_on_demand.ingest import IngestRequest, ingest_task
from mlflow_on_demand.other_uis import publish_ui
from mlflow_on_demand.record_answers import record_answers
from mlflow_on_demand.snapshot import Objective, open_snapshot_store

if __name__ == "__main__":
    task, tarballs, snapshot_store, metric = sys.argv[1:]
    request = IngestRequest(int(task), (tarballs,), snapshot_store, Objective(metric, "minimize"))
    manifest = ingest_task(request).manifest
    record_answers(open_snapshot_store(snapshot_store, request.jeditaskid, manifest.schema_revision), manifest)
    publish_ui(snapshot_store)
