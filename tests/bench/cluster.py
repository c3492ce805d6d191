"""`make bench-cluster`: the platform on a real Knative, each figure beside its alternative in the same cluster and run.

Prints README's table "On a real Knative"; `--write` puts it there. `HELLO_IMAGE` names the cluster's hello-world, by
default Knative's own sample.
"""

import argparse
import gzip
import os
import subprocess
import tempfile
from pathlib import Path

from bench.cluster_figures import BURST, Bench
from bench.contenders import SPACE, apply_contenders
from bench.figures import write_table
from bench.stock import find_experiments
from bigpanda_laptop.sample import TARBALLS, TASK
from mlflow_on_demand.ingest import IngestRequest, ingest_task
from support.e2e import ROOT, push_images
from support.real_cluster import find_target, temporary_namespace
from support.real_platform import Images, deployed
from support.real_storage import s3_in_cluster

DATABASE = ROOT / "build" / "stock" / "stock.db"


def main() -> None:
    """Takes about twenty minutes, most of it waiting for Pods to end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into README.md")
    parser.add_argument("--samples", type=int, default=5, help="wakes of each contender (%(default)s)")
    options = parser.parse_args()
    target = find_target()
    build_stock()
    images = push_images(target.registry, "functions", "mlflow", "s3", "stock")
    hello = os.environ.get("HELLO_IMAGE") or "ghcr.io/knative/helloworld-go:latest"
    with (
        tempfile.TemporaryDirectory() as folder,
        s3_in_cluster(images["s3"], (TASK, *BURST)) as stores,
        deployed(target, Images(images["functions"], images["mlflow"]), stores, Path(folder)) as platform,
        temporary_namespace(SPACE),
    ):
        apply_contenders(images["stock"], hello)
        bench = Bench(platform, find_experiments(DATABASE), hello)
        rows = []
        for figure in bench.figures(options.samples):
            rows.append(figure.row())
            print(rows[-1], flush=True)
    if options.write:
        write_table("bench-cluster", rows)


def build_stock() -> None:
    """The image of the alternative, with the database that ingest makes of the sample."""
    DATABASE.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as store:
        ingest_task(IngestRequest(TASK, (f"{TARBALLS.as_uri()}/",), Path(store).as_uri()))
        [packed] = Path(store).rglob("*.db.gz")
        DATABASE.write_bytes(gzip.decompress(packed.read_bytes()))
    script = str(ROOT / "mlflow-image" / "make-images")
    subprocess.run([script, "tests/bench/images/Containerfile", str(DATABASE.parent), "stock"], check=True)


if __name__ == "__main__":
    main()
