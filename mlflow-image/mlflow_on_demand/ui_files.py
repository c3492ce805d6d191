"""MLflow's built user interface, served from its package's files before MLflow itself is imported.

The files stay as they are; `index.html` gets one script of ours in front of MLflow's own.
"""

import re
from functools import cache

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from mlflow_on_demand.errors import OnDemandError
from mlflow_on_demand.first_look import SCRIPT_PATH
from mlflow_on_demand.mlflow_facts import ui_dir

_HASHED = re.compile(r"\.[0-9a-f]{8,}\.")
_FOR_EVER = "public, max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"


class UiFiles(StaticFiles):
    """The files under `/static-files/`; a name with a hash in it never changes its content."""

    def __init__(self) -> None:
        super().__init__(directory=ui_dir())

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Answer with the file and how long a browser may keep it."""
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = _FOR_EVER if _HASHED.search(path) else _ASK_AGAIN
        return response


@cache
def make_index() -> str:
    """MLflow's `index.html` with our script before the first of its own."""
    html = (ui_dir() / "index.html").read_text(encoding="utf-8")
    before, tag, after = html.partition("<script")
    if not tag:
        raise OnDemandError("MLflow's index.html has no script to put ours in front of")
    return f'{before}<script src="{SCRIPT_PATH}"></script>{tag}{after}'
