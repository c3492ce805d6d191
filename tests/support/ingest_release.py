"""What the function `ingest` does in an image: `python -m support.ingest_release <tarballs> <snapshot store> <metric>`.

Run by the Python of whichever release is to write its snapshot.
"""

import sys

from mlflow_on_demand.ingest import IngestRequest, ingest_task
from mlflow_on_demand.other_uis import publish_ui
from mlflow_on_demand.record_answers import record_answers
from mlflow_on_demand.snapshot import Objective, open_snapshot_store
from support.hpo_files import TASK

if __name__ == "__main__":
    tarballs, snapshot_store, metric = sys.argv[1:]
    manifest = ingest_task(IngestRequest(TASK, (tarballs,), snapshot_store, Objective(metric, "minimize"))).manifest
    record_answers(open_snapshot_store(snapshot_store, TASK, manifest.schema_revision), manifest)
    publish_ui(snapshot_store)
