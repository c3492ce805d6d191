"""MLflow's built user interface, served from files before MLflow itself is imported, each in the form a browser likes.

Compressed forms were made when the image was built (`compress_ui.py`); here is only chosen between them. What this
MLflow does not have, another's page may be asking for: see `other_uis.py`.
"""

import logging

from anyio import CapacityLimiter, to_thread
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import Scope

from mlflow_on_demand.errors import OnDemandError
from mlflow_on_demand.mlflow_facts import ui_dir
from mlflow_on_demand.negotiation import IDENTITY, choose_encoding
from mlflow_on_demand.other_uis import OtherFile, OtherUis, open_ui_store
from mlflow_on_demand.ui_pack import UiFile, open_pack
from mlflow_on_demand.ui_page import PAGE, make_page
from mlflow_on_demand.ui_replies import FOR_EVER, UNCACHED, is_hashed, keep, ui_headers

_log = logging.getLogger(__name__)

# Of a page's many files, so many at once from the store: the other threads are MLflow's.
_AT_ONCE = 4


class UiFiles(StaticFiles):
    """The files under `/static-files/`, and the page; a name with a hash in it never changes its content."""

    def __init__(self, snapshot_store: str) -> None:
        super().__init__(directory=ui_dir())
        self._pack = open_pack()
        self._others = OtherUis(open_ui_store(snapshot_store))
        self._places = CapacityLimiter(_AT_ONCE)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Answer with the file and how long a browser may keep it."""
        file = self._pack.files.get(path)
        if file is not None and scope["method"] in ("GET", "HEAD"):
            return self._choose(path, file, Headers(scope=scope))
        try:
            response = await super().get_response(path, scope)
        except HTTPException as error:
            if error.status_code != 404 or not is_hashed(path):
                raise
            return await self._from_another(path, Headers(scope=scope))
        response.headers["Cache-Control"] = keep(path)
        return response

    def page(self, asked: Headers) -> Response:
        """MLflow's page with our script in it, for a request with these headers."""
        return self._choose(PAGE, self._pack.page, asked)

    def _choose(self, name: str, file: UiFile, asked: Headers) -> Response:
        # A range means bytes of what MLflow brings; those of a compressed form would be of no use to anybody.
        offered = (IDENTITY,) if "range" in asked else tuple(file.tags)
        accept = asked.getlist("accept-encoding")
        encoding = choose_encoding(",".join(accept) if accept else None, offered)
        if encoding is None:
            return PlainTextResponse(f"Offered: {', '.join(offered)}.", 406, headers={"Vary": "Accept-Encoding"})
        response = self._respond(name, file, encoding)
        return NotModifiedResponse(response.headers) if self.is_not_modified(response.headers, asked) else response

    def _respond(self, name: str, file: UiFile, encoding: str) -> Response:
        headers = ui_headers(name, file, encoding)
        if encoding != IDENTITY:
            return FileResponse(self._pack.path_of(name, encoding), headers=headers, media_type=file.media_type)
        if name == PAGE:
            return Response(make_page(), headers=headers, media_type=file.media_type)
        return FileResponse(ui_dir() / name, headers=headers, media_type=file.media_type)

    async def _from_another(self, name: str, asked: Headers) -> Response:
        try:
            found = await to_thread.run_sync(self._others.read, name, limiter=self._places)
        except OnDemandError as error:
            _log.warning("a file of another MLflow's page cannot be read", extra={"file": name, "reason": str(error)})
            return PlainTextResponse("Try again.", 503, headers={"Retry-After": "5", **UNCACHED})
        if found is None:
            return PlainTextResponse("There is nothing here.", 404, headers=UNCACHED)
        return _send(found, asked)


def _send(file: OtherFile, asked: Headers) -> Response:
    headers = {"Cache-Control": FOR_EVER, "Vary": "Accept-Encoding"}
    if file.is_gzip and choose_encoding(asked.get("accept-encoding"), ("gzip", IDENTITY)) == "gzip":
        return Response(file.content, headers={**headers, "Content-Encoding": "gzip"}, media_type=file.media_type)
    return Response(file.plain(), headers=headers, media_type=file.media_type)
