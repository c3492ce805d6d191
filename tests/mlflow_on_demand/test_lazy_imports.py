"""Imports that wait: the rule for MLflow, and, where Python knows lazy imports, what it spares."""

import subprocess
import sys

import pytest

from mlflow_on_demand.lazy_imports import make_filter


@pytest.mark.parametrize(
    ("importing", "imported", "names", "waits"),
    [
        ("mlflow.server", "mlflow.store.tracking", None, True),
        ("mlflow", "sqlalchemy", ("select",), True),
        ("mlflow.server.handlers", "mlflow.protos.service_pb2", ("GetRun",), False),
        ("mlflow.server.handlers", "mlflow.protos", ("service_pb2",), False),
        ("mlflow.server.handlers", "mlflow", ("protos",), False),
        ("mlflow.protos.service_pb2", "google.protobuf", ("descriptor",), False),
        ("mlflow.entities", "mlflow.protosaurus", None, True),
        ("mlflow_on_demand.server", "uvicorn", None, False),
        ("sqlalchemy.orm", "sqlalchemy.sql", None, False),
    ],
)
def test_only_what_the_package_itself_imports_waits(
    importing: str, imported: str, names: tuple[str, ...] | None, waits: bool
) -> None:
    assert make_filter("mlflow", eager="mlflow.protos")(importing, imported, names) is waits


@pytest.mark.skipif(sys.version_info < (3, 15), reason="lazy imports are Python 3.15's")
def test_mlflow_s_server_does_not_load_what_no_page_needs() -> None:
    program = (
        "import sys; from mlflow_on_demand.mlflow_app import load_mlflow; load_mlflow({}); "
        "print([name for name in ('sqlalchemy', 'alembic', 'mlflow.server.fastapi_app') if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
