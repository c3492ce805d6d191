"""An MLflow that this image cannot serve is found out when the image is built."""

import subprocess
import sys

import pytest

from mlflow_on_demand import check_mlflow
from mlflow_on_demand.errors import OnDemandError
from support.mlflow_routes import flask_routes

# MLflow 3.17 calls what newer releases of SQLAlchemy deprecate, when it is imported.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def test_the_installed_one_can_be_served() -> None:
    command = [sys.executable, "-m", "mlflow_on_demand.check_mlflow"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_a_lost_route_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(check_mlflow, "read_routes", lambda: flask_routes() - {"POST 2.0/mlflow/runs/search"})
    assert check_mlflow.main() == 1
    assert capsys.readouterr().err == "MLflow has no POST 2.0/mlflow/runs/search, which its page was allowed\n"


def test_a_page_of_another_form_and_other_facts_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> bytes:
        raise OnDemandError("it has no script")

    monkeypatch.setattr(check_mlflow, "make_page", fail)
    monkeypatch.setattr(check_mlflow, "mlflow_version", lambda: "3.0.0")
    monkeypatch.setattr(check_mlflow, "schema_revision", lambda: "abc")
    assert list(check_mlflow.find_faults(flask_routes())) == [
        "MLflow says it is 3.17.2, its package 3.0.0",
        "MLflow's schema is dc11669786a5, but its files were read as abc",
        "MLflow's page cannot be served: it has no script",
    ]
