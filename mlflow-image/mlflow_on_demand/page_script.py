"""Our script in MLflow's page, for a task whose snapshot is known."""

from mlflow_on_demand.first_look import make_first_look
from mlflow_on_demand.first_runs import make_first_runs
from mlflow_on_demand.live_look import make_live_look
from mlflow_on_demand.snapshot import Manifest


def make_page_script(manifest: Manifest, *, is_finished: bool) -> str:
    """The first look, the runs until MLflow shows them, and, unless the task is finished, what keeps an open page up to
    date.
    """
    return (
        make_first_look(manifest)
        + make_first_runs(manifest)
        + ("" if is_finished else make_live_look(manifest.content))
    )
