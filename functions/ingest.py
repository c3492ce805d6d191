"""`ingest`: a task's metrics tarballs become a snapshot. Runs in the MLflow image, whose schema it writes."""
