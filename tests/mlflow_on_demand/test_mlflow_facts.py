import pytest

from mlflow_on_demand import mlflow_facts


def test_facts_are_what_mlflow_says() -> None:
    import mlflow
    from mlflow.store.db.utils import _get_latest_schema_revision

    assert mlflow_facts.mlflow_version() == mlflow.__version__
    assert mlflow_facts.schema_revision() == _get_latest_schema_revision()
    assert str(mlflow_facts.package_dir()) == mlflow.__path__[0]
    assert (mlflow_facts.ui_dir() / "index.html").is_file()


@pytest.mark.parametrize("module", ["settings", "stores", "snapshot", "tarballs", "errors", "mlflow_facts"])
def test_light_modules_are_light(module: str) -> None:
    import subprocess
    import sys

    code = (
        f"import sys, mlflow_on_demand.{module}\n"
        "heavy = {'mlflow', 'boto3', 'sqlalchemy', 'pydantic', 'starlette', 'yaml'} & set(sys.modules)\n"
        "sys.exit(f'imports {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
