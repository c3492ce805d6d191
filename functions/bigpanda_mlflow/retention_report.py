"""`python -m bigpanda_mlflow.retention_report`: what `retain` would collect now; with `--collect`, it is collected.

Reads the functions' own environment, and the cluster by the current kubeconfig. Prints one JSON object.
"""

import argparse
import json
import sys

from bigpanda_mlflow.endpoint import Platform
from bigpanda_mlflow.errors import FunctionError
from bigpanda_mlflow.retaining import collect_snapshots


def main() -> int:
    """The exit status is 1 when the store or the cluster does not answer; the reason goes to stderr."""
    parser = argparse.ArgumentParser(prog="python -m bigpanda_mlflow.retention_report", description=__doc__)
    parser.add_argument("--collect", action="store_true", help="remove it, instead of only telling")
    arguments = parser.parse_args()
    try:
        report = collect_snapshots(Platform.from_environment().context, dry_run=not arguments.collect)
    except FunctionError as error:
        print(error, file=sys.stderr)
        return 1
    said = {"collected": arguments.collect, "tasks": report.tasks, "objects": report.objects, "bytes": report.bytes}
    print(json.dumps(said, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
