"""MLflow over a snapshot of one PanDA task: made by ingest, served by a server that wakes fast."""
