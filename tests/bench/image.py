"""`make bench-image`: the MLflow image's server as it is built, beside stock MLflow on the same Python and runs.

Prints README's table "The image"; `--write` puts it there.
"""

import argparse
import tempfile
from contextlib import ExitStack
from pathlib import Path

from bench.bulk import OBJECTIVE, RUNS, write_tarballs
from bench.cluster import build_stock
from bench.figures import write_table
from bench.image_figures import Bench
from bench.rootfs import mounted
from mlflow_on_demand.ingest import IngestRequest, ingest_task
from mlflow_on_demand.record_answers import record_answers
from mlflow_on_demand.snapshot import Manifest, open_snapshot_store
from support.browser import open_chromium
from support.hpo_files import TASK


def main() -> None:
    """Takes about ten minutes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into README.md")
    parser.add_argument("--samples", type=int, default=5, help="starts of each contender (%(default)s)")
    options = parser.parse_args()
    with ExitStack() as stack:
        data = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        manifest = make_snapshot(data)
        build_stock()
        ours, stock = (stack.enter_context(mounted(target)) for target in ("mlflow", "stock"))
        bench = Bench(ours, stock, data, manifest, stack.enter_context(open_chromium()))
        rows = []
        for figure in bench.figures(options.samples):
            rows.append(figure.row())
            print(rows[-1], flush=True)
    if options.write:
        write_table("bench-image", rows)


def make_snapshot(data: Path) -> Manifest:
    """A published snapshot of RUNS runs, with its answers, below `data`."""
    print(f"Ingesting {RUNS} runs ...", flush=True)
    artifacts = write_tarballs(data / "tarballs", range(1, RUNS + 1)).as_uri()
    store = (data / "snapshots").as_uri()
    manifest = ingest_task(IngestRequest(TASK, (artifacts,), store, OBJECTIVE)).manifest
    assert record_answers(open_snapshot_store(store, TASK, manifest.schema_revision), manifest)
    return manifest


if __name__ == "__main__":
    main()
