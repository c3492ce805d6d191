"""What an environment needs beside its packages; run once, when they are installed.

    python -m mlflow_on_demand.prepare_environment

MLflow's empty database, with which every ingest begins, takes some seconds to make. And an empty folder `databricks`
stands for the Databricks SDK, 17 MB that no page of a task needs: MLflow asks whether there is a `databricks.agents`,
and cannot be imported where there is no `databricks` that might have one.
"""

from importlib.util import find_spec

from mlflow_on_demand.empty_database import prepare
from mlflow_on_demand.mlflow_facts import package_dir


def main() -> None:
    """Safe to run again, and beside itself."""
    if find_spec("databricks") is None:
        package_dir().with_name("databricks").mkdir(exist_ok=True)
    prepare()


if __name__ == "__main__":
    main()
