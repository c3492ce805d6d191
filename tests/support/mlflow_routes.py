"""MLflow's routes and what was decided about them. `/api/` and `/ajax-api/` are one, and left out.

Those of its FastAPI application are read from the application itself, which can be imported only where MLflow has all
of its dependencies.
"""

import json
import re
import subprocess
from pathlib import Path

from bench.stock import prepare_stock

_PRINT_ROUTES = """
import json
from mlflow.server.fastapi_app import app

def walk(routes, prefix=""):
    for route in routes:
        if hasattr(route, "original_router"):
            yield from walk(route.original_router.routes, prefix + route.include_context.prefix)
        elif hasattr(route, "methods"):
            yield from ([method, prefix + route.path] for method in route.methods)
        else:
            yield [type(route).__name__, prefix + route.path]

print(json.dumps(list(walk(app.routes))))
"""
_DECIDED = Path(__file__).parents[1] / "mlflow_on_demand"


def read_routes(name: str) -> frozenset[str]:
    """The routes that a file of decisions names."""
    return frozenset((_DECIDED / name).read_text().split("\n")) - {""}


# Looked at and not allowed, by the rules of MLflow's Flask application.
REFUSED = read_routes("refused_routes.txt")
# Jobs, gateway, assistant, MCP, traces' intake, proxied artifacts: of MLflow's FastAPI application alone.
NEVER_MOUNTED = read_routes("never_mounted_routes.txt")


def flask_routes() -> set[str]:
    """As `METHOD path`; a parameter is written `<name>` or `<kind:name>`."""
    from mlflow.server import app

    return {
        f"{method} {_without_prefix(rule.rule)}"
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def fastapi_routes() -> set[str]:
    """As `METHOD path`, or `Mount path` where another application is mounted; a parameter is written `{name}`."""
    python = prepare_stock().with_name("python")
    command = [str(python), "-W", "ignore", "-c", _PRINT_ROUTES]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {f"{method} {_without_prefix(path)}" for method, path in json.loads(printed.splitlines()[-1])}


def spell(rule: str) -> list[str]:
    """The paths of a rule, with some value for every parameter."""
    path = re.sub(r"<[^>]+>|{[^}]+}", "some-value", rule)
    return [path] if path.startswith("/") else [f"/api/{path}", f"/ajax-api/{path}"]


def _without_prefix(path: str) -> str:
    return re.sub("^/(ajax-)?api/", "", path)
