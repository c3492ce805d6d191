"""MLflow's built user interface, served from files before MLflow itself is imported, each in the form a browser likes.

Compressed forms were made when the image was built (`compress_ui.py`); here is only chosen between them.
"""

import re

from starlette.datastructures import Headers
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import Scope

from mlflow_on_demand.mlflow_facts import ui_dir
from mlflow_on_demand.negotiation import IDENTITY, choose_encoding
from mlflow_on_demand.ui_pack import UiFile, open_pack
from mlflow_on_demand.ui_page import PAGE, make_page

_HASHED = re.compile(r"\.[0-9a-f]{8,}\.")
_FOR_EVER = "public, max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"


class UiFiles(StaticFiles):
    """The files under `/static-files/`, and the page; a name with a hash in it never changes its content."""

    def __init__(self) -> None:
        super().__init__(directory=ui_dir())
        self._pack = open_pack()

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Answer with the file and how long a browser may keep it."""
        file = self._pack.files.get(path)
        if file is not None and scope["method"] in ("GET", "HEAD"):
            return self._choose(path, file, Headers(scope=scope))
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = _keep(path)
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
        headers = {"Cache-Control": _keep(name), "ETag": f'"{file.tags[encoding]}"', "Vary": "Accept-Encoding"}
        if encoding != IDENTITY:
            headers["Content-Encoding"] = encoding
            return FileResponse(self._pack.path_of(name, encoding), headers=headers, media_type=file.media_type)
        if name == PAGE:
            return Response(make_page(), headers=headers, media_type=file.media_type)
        return FileResponse(ui_dir() / name, headers=headers, media_type=file.media_type)


def _keep(name: str) -> str:
    return _FOR_EVER if _HASHED.search(name) else _ASK_AGAIN
