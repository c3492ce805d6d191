"""MLflow's page, with one script of ours in front of MLflow's own; its files stay as they are."""

from functools import cache

from mlflow_on_demand.errors import OnDemandError
from mlflow_on_demand.mlflow_facts import ui_dir

PAGE = "index.html"
# Ours is the only page that waits for this address; it must not collide with MLflow's own.
SCRIPT_PATH = "/bigpanda/first-look.js"


@cache
def make_page() -> bytes:
    """MLflow's `index.html` with our script before the first of its own."""
    html = (ui_dir() / PAGE).read_text(encoding="utf-8")
    before, tag, after = html.partition("<script")
    if not tag:
        raise OnDemandError("MLflow's index.html has no script to put ours in front of")
    return f'{before}<script src="{SCRIPT_PATH}"></script>{tag}{after}'.encode()
