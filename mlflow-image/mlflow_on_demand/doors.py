"""The two doors a request passes: one asks whether it is for us at all, the other stands before MLflow.

The second answers refusals, constants and what was recorded itself, before MLflow is there and after; it holds any
other read until MLflow is ready, and lets only so many in at once as MLflow's threads can serve.
"""

import asyncio
from concurrent.futures import Future
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mlflow_on_demand.gate import Gate
from mlflow_on_demand.mlflow_app import make_asgi
from mlflow_on_demand.pages import words_for
from mlflow_on_demand.readonly import CONSTANTS, Verdict, is_graphql_read, judge, refusal
from mlflow_on_demand.recorded import key_of, reply_with
from mlflow_on_demand.served import seeing
from mlflow_on_demand.stage import Progress, Stage, is_settled, knows_answers
from mlflow_on_demand.ui_replies import EVERY_ANSWER

# Knative cuts a request off at 300 s; a wake that takes longer than this will not end well either.
_PATIENCE = 120.0
_AT_ONCE = 8
_MAX_BODY = 2**20
# An artifact was made by somebody's job: opened as a page of its own, it must not act as the viewer.
_ARTIFACT_PATHS = ("/get-artifact", "/model-versions/get-artifact")
_ARTIFACT_ROUTES = ("/artifacts/files", "/get-trace-artifact")
_HARMLESS = "sandbox; default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'"


class HostDoor:
    """Refuses foreign hosts and origins, and sets the headers that every answer carries."""

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self._app = app
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        why = self._gate.refuse(scope["path"], headers.get("host", ""), headers.get("origin", ""))
        if why is not None:
            await PlainTextResponse(why, 403)(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                answer.update(EVERY_ANSWER)
                path = scope["path"]
                if path.startswith(_ARTIFACT_PATHS) or any(route in path for route in _ARTIFACT_ROUTES):
                    answer["Content-Security-Policy"] = _HARMLESS
            await send(message)

        await self._app(scope, receive, send_with_headers)


class MlflowDoor:
    """Lets reads through to MLflow, once it is there."""

    def __init__(self, progress: Progress, flask_app: Future[Any]) -> None:
        self._progress = progress
        self._flask_app = flask_app
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._mlflow: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1000})
            return
        request = Request(scope, receive)
        answer = self._answer_at_once(request)
        if answer is not None:
            await answer(scope, receive, send)
            return
        try:
            body = await _read_body(request)
        except ClientDisconnect:
            return
        if body is None:
            answer = _too_large()
        else:
            waited_until = asyncio.get_running_loop().time() + _PATIENCE
            answer = (
                await self._find_recorded(request, body)
                or _judge_graphql(request, body)
                or await self._wait_for_mlflow(waited_until)
            )
        if answer is not None:
            await answer(scope, receive, send)
            return
        await self._ask_mlflow(scope, body or b"", send)

    def _answer_at_once(self, request: Request) -> Response | None:
        path = request.url.path
        if request.method in ("GET", "HEAD"):
            if path in CONSTANTS:
                return JSONResponse(CONSTANTS[path])
            if not path.startswith(("/api/", "/ajax-api/")) and judge(request.method, path) is Verdict.REFUSED:
                return PlainTextResponse("There is nothing here.", 404)
            if path == "/ajax-api/2.0/mlflow/users/current":
                # MLflow's page takes 404 as "no log-in here"; anything else makes it show an account.
                return JSONResponse({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "There are no accounts."}, 404)
        if judge(request.method, path) is Verdict.REFUSED:
            return JSONResponse(refusal(request.method, path), 403)
        return None

    async def _find_recorded(self, request: Request, body: bytes) -> Response | None:
        """The answer that ingest recorded to this very request. They are known long before MLflow is ready."""
        key = key_of(request.method, request.url.path, request.scope["query_string"], request.headers, body)
        if key is None:
            return None
        status = await self._progress.wait_until(knows_answers, _PATIENCE)
        recorded = (status.answers or {}).get(key)
        if recorded is None:
            return None
        reply = reply_with(recorded, request.headers.get("accept-encoding"))
        return Response(reply.body, reply.status, reply.headers)

    async def _wait_for_mlflow(self, until: float) -> Response | None:
        status = await self._progress.wait_until(is_settled, until - asyncio.get_running_loop().time())
        if status.stage is Stage.READY:
            return None
        reason = status.reason or words_for(status.stage)
        return JSONResponse(
            {"error_code": "TEMPORARILY_UNAVAILABLE", "message": reason}, 503, headers={"Retry-After": "5"}
        )

    async def _ask_mlflow(self, scope: Scope, body: bytes, send: Send) -> None:
        if self._mlflow is None:
            self._mlflow = make_asgi(self._flask_app.result())

        async def receive_body() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async with self._places:
            served = self._progress.status.served
            assert served is not None  # nobody gets here before the stage is READY
            with seeing(served):
                await self._mlflow({**scope, "root_path": ""}, receive_body, send)


def _too_large() -> Response:
    return JSONResponse(
        {"error_code": "INVALID_PARAMETER_VALUE", "message": "The request's body is larger than 1 MiB."}, 413
    )


def _judge_graphql(request: Request, body: bytes) -> Response | None:
    if judge(request.method, request.url.path) is Verdict.GRAPHQL and not is_graphql_read(body):
        return JSONResponse(refusal(request.method, request.url.path), 403)
    return None


async def _read_body(request: Request) -> bytes | None:
    """The body, or None when it is too large to be that of a read."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY:
            return None
    return body
