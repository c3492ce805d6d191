"""Our script in MLflow's page, for a task whose snapshot is known."""

from mlflow_on_demand.first_look import make_first_look
from mlflow_on_demand.live_look import make_live_look
from mlflow_on_demand.snapshot import Manifest


def make_page_script(manifest: Manifest) -> str:
    """The first look, and what keeps an open page up to date."""
    return make_first_look(manifest) + make_live_look(manifest.content)
