"""The server of one task's results: listens at once, and becomes MLflow as soon as MLflow and the snapshot are there.

Run it as `python -m mlflow_on_demand.server` with the environment of `settings.py`. It answers with MLflow's page as
soon as it can read that (`greeter.py`), with what was recorded as soon as the snapshot is found (`wake.py`), with the
whole of `task_app.py` a tenth of a second after its start, and with MLflow when that is imported. Each step is imported
only when the one before is under way.
"""

import gc
import os
import signal
import sys

from mlflow_on_demand.errors import SettingsError
from mlflow_on_demand.gate import Gate
from mlflow_on_demand.greeter import Greeter, listen
from mlflow_on_demand.greetings import Greetings
from mlflow_on_demand.settings import ServerSettings
from mlflow_on_demand.ui_pack import open_pack


def main() -> int:
    """Serve until SIGTERM; the exit status is 0 then, and 2 when a setting is wrong or the port is taken."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    gc.disable()  # what a wake makes stays: looking for garbage in it is a sixth of the work; `wake.py` enables it
    try:
        settings = ServerSettings.from_env(os.environ)
        listener = listen(settings.host, settings.port)
    except (SettingsError, OSError) as error:
        return _give_up(error)
    greetings = Greetings(Gate(settings.public_host), open_pack())
    greeter = Greeter(listener, greetings)
    greeter.start()

    import logging
    import tempfile
    from pathlib import Path

    from mlflow_on_demand.lazy_imports import import_lazily

    import_lazily()
    from mlflow_on_demand.logs import log_to_stderr
    from mlflow_on_demand.stage import Progress
    from mlflow_on_demand.wake import Wake

    log_to_stderr()
    logging.getLogger(__name__).info("listening", extra={"port": listener.getsockname()[1]})
    with tempfile.TemporaryDirectory(prefix="mlflow-on-demand-", ignore_cleanup_errors=True) as scratch:
        # MLflow takes the `file:` of an SQLite URI for a folder and makes it where we stand (3.17,
        # `_make_parent_dirs_if_sqlite`): in a container that is read-only, in a checkout it would stay.
        os.chdir(scratch)
        wake = Wake(settings, Path(scratch), Progress())
        wake.start()
        greetings.follow(wake.progress)

        from mlflow_on_demand.serving import serve

        serve(settings, wake, listener, greeter)
    return 0


def _give_up(error: Exception) -> int:
    import logging

    from mlflow_on_demand.logs import log_to_stderr

    log_to_stderr()
    logging.getLogger(__name__).error("%s", error)
    return 2


if __name__ == "__main__":
    sys.exit(main())
