"""The server of one task's results: listens at once, and becomes MLflow as soon as MLflow and the snapshot are there.

Run it as `python -m mlflow_on_demand.server` with the environment of `settings.py`. It answers with MLflow's page as
soon as it can read it (`greeter.py`), with the whole of `task_app.py` a tenth of a second later.
"""

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
    try:
        settings = ServerSettings.from_env(os.environ)
        listener = listen(settings.host, settings.port)
    except (SettingsError, OSError) as error:
        return _give_up(error)
    greeter = Greeter(listener, Greetings(Gate(settings.public_host), open_pack()))
    greeter.start()
    # All that takes long to import is behind this one.
    from mlflow_on_demand.serving import serve

    serve(settings, listener, greeter)
    return 0


def _give_up(error: Exception) -> int:
    import logging

    from mlflow_on_demand.logs import log_to_stderr

    log_to_stderr()
    logging.getLogger(__name__).error("%s", error)
    return 2


if __name__ == "__main__":
    sys.exit(main())
