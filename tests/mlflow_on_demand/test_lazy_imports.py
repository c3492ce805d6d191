"""Imports that wait: the rule, and, where Python knows lazy imports, what it spares and what still works."""

import subprocess
import sys

import pytest

from mlflow_on_demand.lazy_imports import may_wait

python_3_15 = pytest.mark.skipif(sys.version_info < (3, 15), reason="lazy imports are Python 3.15's")


@pytest.mark.parametrize(
    ("importing", "imported", "names", "waits"),
    [
        ("mlflow.server", "mlflow.store.tracking", None, True),
        ("mlflow", "sqlalchemy", ("select",), True),
        ("werkzeug", "werkzeug.serving", ("run_simple",), True),
        ("mlflow.server.handlers", "mlflow.protos.service_pb2", ("GetRun",), False),
        ("mlflow.server.handlers", "mlflow.protos", ("service_pb2",), False),
        ("mlflow.server.handlers", "mlflow", ("protos",), False),
        ("mlflow.protos.service_pb2", "google.protobuf", ("descriptor",), False),
        ("mlflow.protos.service_pb2", "opentelemetry.proto.trace.v1", ("trace_pb2",), False),
        ("opentelemetry.proto.trace.v1.trace_pb2", "opentelemetry.proto.common.v1", ("common_pb2",), False),
        ("opentelemetry.sdk.trace", "opentelemetry", ("context",), True),
        ("1a0cddfcaa16_add_webhooks_py", "alembic", ("op",), True),
        ("alembic", "alembic", ("op",), True),
        ("alembic.ddl", "alembic.ddl", ("mssql",), True),
        ("alembic.ddl", "alembic.ddl", ("sqlite",), False),
        ("alembic.ddl", "alembic.ddl.impl", ("DefaultImpl",), False),
        ("alembic.operations.base", "alembic.ddl.base", ("_ServerDefaultArgument",), False),
        ("mlflow_on_demand.server", "uvicorn", None, False),
        ("sqlalchemy.orm", "sqlalchemy.sql", None, False),
        ("sqlalchemy.dialects.mysql", "sqlalchemy.dialects.mysql", ("pymysql",), True),
        ("sqlalchemy.dialects.mysql.base", "sqlalchemy.dialects.mysql", ("reflection",), False),
        ("sqlalchemy.dialects.sqlite", "sqlalchemy.dialects.sqlite", ("pysqlite",), False),
    ],
)
def test_only_what_is_written_where_it_may_wait_waits(
    importing: str, imported: str, names: tuple[str, ...] | None, waits: bool
) -> None:
    assert may_wait(importing, imported, names) is waits


@python_3_15
def test_mlflow_s_server_does_not_load_what_no_page_needs() -> None:
    spared = ("sqlalchemy", "alembic", "mlflow.server.fastapi_app", "werkzeug.serving", "click.testing")
    program = (
        "import sys; from mlflow_on_demand.mlflow_app import load_mlflow; load_mlflow({}); "
        f"print([name for name in {spared} if name in sys.modules])"
    )
    assert _run(program) == "[]"


@python_3_15
def test_the_newest_migration_is_found_without_what_migrations_are_made_of() -> None:
    program = (
        "import sys; from mlflow_on_demand.lazy_imports import import_lazily; import_lazily(); "
        "from mlflow.store.db.utils import _get_latest_schema_revision; "
        "from mlflow_on_demand.mlflow_facts import schema_revision; "
        "print(_get_latest_schema_revision() == schema_revision(), 'alembic.op' in sys.modules); "
        "import alembic; print(callable(alembic.op.add_column), alembic.ddl.postgresql.PostgresqlImpl.__dialect__)"
    )
    assert _run(program) == "True False\nTrue postgresql"


@python_3_15
def test_mlflow_s_models_load_no_driver_of_another_database_and_each_is_there_when_asked_for() -> None:
    program = (
        "import sys; from mlflow_on_demand.lazy_imports import import_lazily; import_lazily(); "
        "import mlflow.store.tracking.sqlalchemy_store; mlflow.store.tracking.sqlalchemy_store.SqlAlchemyStore; "
        "drivers = ('mssql.aioodbc', 'mysql.asyncmy', 'postgresql.asyncpg'); "
        "print([name for name in drivers if f'sqlalchemy.dialects.{name}' in sys.modules]); "
        "from sqlalchemy.engine import make_url; "
        "urls = [f'{name.replace(chr(46), chr(43))}://localhost/x' for name in drivers]; "
        "print([make_url(url).get_dialect().driver for url in urls])"
    )
    assert _run(program) == "[]\n['aioodbc', 'asyncmy', 'asyncpg']"


def _run(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()
