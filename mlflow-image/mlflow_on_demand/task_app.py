"""The ASGI application of one task's page: what we answer ourselves, whatever the stage, and the doors before MLflow.

/                         MLflow's page, or, without a snapshot, one that says what is happening
/static-files/…           MLflow's user interface, and hashed files of other releases' (`other_uis.py`)
/bigpanda/…               the first look's script, the preparing page and its status
/health                   200 as soon as anything can be served; its JSON names the stage
/ready                    503 until MLflow and the store answer
anything else             MLflow's own answers to reads: recorded at ingest, or given when it is ready
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route

from mlflow_on_demand.doors import HostDoor, MlflowDoor
from mlflow_on_demand.first_look import make_detour
from mlflow_on_demand.gate import Gate
from mlflow_on_demand.page_script import make_page_script
from mlflow_on_demand.pages import PREPARING_PATH, STATUS_PATH, make_preparing_page, words_for
from mlflow_on_demand.settings import ServerSettings
from mlflow_on_demand.stage import Progress, Stage, is_decided
from mlflow_on_demand.ui_files import UiFiles
from mlflow_on_demand.ui_page import SCRIPT_PATH
from mlflow_on_demand.ui_replies import UNCACHED
from mlflow_on_demand.wake import Wake

# A manifest is a small file in a store that answers in milliseconds, or not at all.
_MANIFEST_PATIENCE = 10.0


class TaskPages:
    """What we answer ourselves, whatever the stage."""

    def __init__(self, settings: ServerSettings, progress: Progress) -> None:
        self._settings = settings
        self._progress = progress
        self._ui = UiFiles(settings.snapshot_store)

    def routes(self) -> list[Route | Mount]:
        """Our part of the address space."""
        return [
            Route("/", self.front),
            Route(PREPARING_PATH, self.preparing),
            Route(STATUS_PATH, self.status),
            Route(SCRIPT_PATH, self.script),
            Route("/health", self.health),
            Route("/ready", self.ready),
            Mount("/static-files", self._ui),
        ]

    async def front(self, request: Request) -> Response:
        """MLflow's page; while it is not known whether there is a snapshot, its script will find out."""
        if self._progress.status.stage in (Stage.WAITING, Stage.FAILED):
            return self._preparing_page()
        return self._ui.page(request.headers)

    async def preparing(self, _: Request) -> Response:
        """The page that waits."""
        return self._preparing_page()

    async def status(self, _: Request) -> Response:
        """What the page that waits asks for, and one that is open."""
        # It may be this very request that woke us.
        status = await self._progress.wait_until(is_decided, _MANIFEST_PATIENCE)
        is_finished = status.is_finished(time.time())
        words = {**status.as_json(), "finished": is_finished, "words": words_for(status.stage)}
        return JSONResponse(words, headers=UNCACHED)

    async def script(self, _: Request) -> Response:
        """The first look, as soon as the manifest is known; without one, the way to the page that waits."""
        status = await self._progress.wait_until(is_decided, _MANIFEST_PATIENCE)
        is_finished = status.is_finished(time.time())
        text = make_page_script(status.manifest, is_finished=is_finished) if status.manifest else make_detour()
        return Response(text, media_type="text/javascript", headers=UNCACHED)

    async def health(self, _: Request) -> Response:
        """The process serves; its stage is in the body."""
        return JSONResponse(self._progress.status.as_json(), headers=UNCACHED)

    async def ready(self, _: Request) -> Response:
        """MLflow serves the snapshot."""
        status = self._progress.status
        code = 200 if status.stage is Stage.READY else 503
        return JSONResponse(status.as_json(), code, headers=UNCACHED)

    def _preparing_page(self) -> Response:
        status = self._progress.status
        page = make_preparing_page(self._settings.jeditaskid, status.stage, status.reason)
        return HTMLResponse(page, headers=UNCACHED)


def make_app(settings: ServerSettings, wake: Wake) -> Starlette:
    """The ASGI application over a wake that is under way; it ends with it."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        wake.stop()

    pages, door = TaskPages(settings, wake.progress), MlflowDoor(wake.progress, wake.flask_app)
    app = Starlette(routes=[*pages.routes(), Mount("/", door)], lifespan=lifespan)
    app.add_middleware(HostDoor, gate=Gate(settings.public_host))
    return app
