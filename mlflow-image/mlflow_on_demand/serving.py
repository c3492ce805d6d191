"""The application on uvicorn, which takes over from the greeter the socket it listens on and the connections it has."""

import asyncio
import logging
import socket

import uvicorn

from mlflow_on_demand.greeter import Greeter
from mlflow_on_demand.settings import ServerSettings
from mlflow_on_demand.task_app import make_app
from mlflow_on_demand.wake import Wake

_log = logging.getLogger(__name__)

_DRAIN_SECONDS = 20


def serve(settings: ServerSettings, wake: Wake, listener: socket.socket, greeter: Greeter) -> None:
    """Serve one task until SIGTERM, and drain."""
    config = uvicorn.Config(
        make_app(settings, wake),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
    )
    try:
        # uvicorn drains on SIGTERM and then raises it again: `server.main` makes that the ordinary end.
        asyncio.run(_Adopter(config, greeter).serve(sockets=[listener]))
    finally:
        _log.info("ended")


class _Adopter(uvicorn.Server):
    """A uvicorn that also serves connections which somebody else has accepted."""

    def __init__(self, config: uvicorn.Config, greeter: Greeter) -> None:
        super().__init__(config)
        self._greeter = greeter

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen too; then the greeter need not any more."""
        await super().startup(sockets=sockets)
        loop = asyncio.get_running_loop()

        def adopt(connection: socket.socket) -> None:
            if loop.is_closed():  # a connection that the greeter still had spoke again when all was over
                connection.close()
                return
            asyncio.run_coroutine_threadsafe(loop.connect_accepted_socket(self._make_protocol, connection), loop)

        self._greeter.hand_over(adopt)

    def _make_protocol(self) -> asyncio.Protocol:
        made: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made
