"""A manifest as ingest would write it, for tests that need no more of a snapshot."""

from mlflow_on_demand.snapshot import Experiment, Manifest, Objective, ObjectRef

REF = ObjectRef("", 0, "")
MANIFEST = Manifest(
    format=1,
    jeditaskid=7,
    mlflow_version="3.17.2",
    schema_revision="abc",
    digest="d",
    database=REF,
    bundle=REF,
    summary=REF,
    sources=(),
    lost=(),
    missing_serials=(),
    experiments=(
        Experiment("70", "calo", "calo", 1, ("lr", "seed"), ("lr",)),
        Experiment("71", "muon", "muon", 1, ("lr",)),
    ),
    runs=2,
    points=2,
    metric_points=10,
    damaged_lines=0,
    objective=Objective("val loss", "minimize"),
    best=None,
    metrics=("val loss",),
    params=("lr",),
)
