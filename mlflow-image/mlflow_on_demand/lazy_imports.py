"""Imports that happen when a name is first used, in packages that were not written so: most of them no page needs.

Python 3.15 has them (PEP 810) and lets a program switch them on from outside. An older Python imports all at once:
slower, and otherwise the same. Light to import.

Which packages: those that a wake loads and of which it uses a part. MLflow: what its server, its models and its
migrations name (alembic executes every migration to learn which is the newest). The others: development servers,
command lines, debuggers, reloaders, formatters, and dialects of databases that are not here. Together a tenth of the
work before MLflow's first answer, and a tenth of a page's memory. Not SQLAlchemy, whose modules register dialects and
events when they are imported; but its dialects of other databases, of which MLflow's models need a type or an option
each, may leave their drivers alone.
"""

import sys

_WAITING = frozenset(
    {
        *("alembic", "click", "cryptography", "flask", "flask_cors", "jinja2", "mlflow", "opentelemetry", "sqlparse"),
        *("starlette", "uvicorn", "werkzeug", "yaml"),
    }
)
# protobuf's messages register themselves, each after those that it names.
_MESSAGES = {"mlflow": "protos", "opentelemetry": "proto"}
_PREFIXES = tuple(f"{package}.{name}" for package, name in _MESSAGES.items())
# What of alembic imports each other in circles; and what it registers of databases that hold no snapshot.
_CIRCLES = ("alembic.autogenerate", "alembic.ddl", "alembic.operations")
_OTHER_DATABASES = frozenset({"mssql", "mysql", "oracle", "postgresql"})
_OTHER_DIALECTS = frozenset(f"sqlalchemy.dialects.{name}" for name in _OTHER_DATABASES)
# alembic executes `versions/<revision>_<what>.py` as a module of that name, with the dot made one that a name may have.
_MIGRATION = "_py"


def import_lazily() -> None:
    """From now on the imports written at the top of those packages' modules wait until their names are used.

    Holds for the whole process: what was deferred may be imported at any time, by any thread.
    """
    if sys.version_info >= (3, 15):
        sys.set_lazy_imports_filter(may_wait)
        sys.set_lazy_imports("all")


def may_wait(importing: str, imported: str, names: tuple[str, ...] | None) -> bool:
    """The rule in the form that Python asks it: who imports what, and which names from it; asked ten thousand times."""
    if importing.partition(".")[0] not in _WAITING and not importing.endswith(_MIGRATION):
        return importing in _OTHER_DIALECTS
    if importing.startswith(_CIRCLES):
        return importing == imported == "alembic.ddl" and _OTHER_DATABASES.issuperset(names or ("",))
    registers = importing.startswith(_PREFIXES) or imported.startswith(_PREFIXES)
    return not registers and _MESSAGES.get(imported) not in (names or ())
