"""The Kubernetes API as an ASGI application: authentication, discovery, and the way from a request to a verb.

Promise: nothing is answered without the token of the kubeconfig, and whatever is refused leaves as a metav1.Status.
"""

import hmac
import json
import logging
from typing import Any

import yaml
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from knative_embedded.api import discovery, errors, listing, patches, protobuf, watching
from knative_embedded.api.address import Address, parse_address
from knative_embedded.api.podlogs import PodLogs
from knative_embedded.api.tables import Include, make_table, wants_table
from knative_embedded.api.verbs import Preconditions, Verbs, Write
from knative_embedded.objects import Clock, Object, meta, uid_of
from knative_embedded.state.store import Store

log = logging.getLogger(__name__)

_JSON_PATCH = "application/json-patch+json"
_PATCHES = {
    _JSON_PATCH: patches.apply_json_patch,
    "application/merge-patch+json": patches.apply_merge_patch,
    "application/strategic-merge-patch+json": patches.apply_strategic_patch,
}
_OPENAPI_V2 = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
MAX_BODY = 3 * 1024 * 1024


class ApiServer:
    """The ASGI application behind the kubeconfig."""

    def __init__(self, store: Store, logs: PodLogs, token: str, clock: Clock) -> None:
        self._store = store
        self._logs = logs
        self._token = f"Bearer {token}".encode()
        self._clock = clock
        self._verbs = Verbs(store, clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except errors.ApiError as error:
            response = JSONResponse(error.status(), error.code)
        except ClientDisconnect:
            return
        except Exception:
            log.exception("%s %s failed", request.method, request.url.path)
            failure = errors.ApiError(500, "InternalError", "Internal error occurred: see the runtime's log")
            response = JSONResponse(failure.status(), 500)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        given = request.headers.get("authorization", "").encode()
        if not hmac.compare_digest(given, self._token):
            raise errors.unauthorized()
        address = parse_address(request.url.path)
        if address is None:
            return _discover(request)
        if address.subresource:
            return await self._answer_subresource(request, address)
        if request.method in {"GET", "HEAD"}:
            return self._read(request, address)
        return await self._write(request, address)

    async def _answer_subresource(self, request: Request, address: Address) -> Response:
        if address.kind.plural == "pods" and address.subresource == "log" and request.method == "GET":
            return self._logs.answer(address, request.query_params)
        if address.subresource != "status" or not address.kind.has_status:
            raise errors.no_such_path()
        if request.method == "GET":
            return self._read(request, address)
        return await self._write(request, address)

    def _read(self, request: Request, address: Address) -> Response:
        if address.name:
            thing = self._store.get(address.kind, address.namespace, address.name)
            if thing is None:
                raise errors.not_found(address.kind, address.name)
            return JSONResponse(self._present(request, address, thing))
        if request.query_params.get("watch") in {"true", "1"}:
            return self._watch(request, address)
        things, metadata = listing.read_list(self._store, address, request.query_params)
        if wants_table(request.headers.get("accept", "")):
            table = make_table(address.kind, things, self._clock(), _include(request))
            return JSONResponse(table | {"metadata": metadata})
        return JSONResponse(listing.list_of(address.kind, things, metadata))

    def _present(self, request: Request, address: Address, thing: Object) -> Object:
        if not wants_table(request.headers.get("accept", "")):
            return thing
        table = make_table(address.kind, [thing], self._clock(), _include(request))
        return table | {"metadata": {"resourceVersion": meta(thing).get("resourceVersion", "")}}

    def _watch(self, request: Request, address: Address) -> Response:
        query = request.query_params
        try:
            timeout = float(query.get("timeoutSeconds") or watching.DEFAULT_TIMEOUT)
        except ValueError:
            raise errors.bad_request("timeoutSeconds is no number") from None
        watch = watching.Watch(
            kind=address.kind,
            namespace=address.namespace,
            selects=listing.read_selection(query).selects,
            version=query.get("resourceVersion", ""),
            initial=query.get("sendInitialEvents") == "true",
            bookmarks=query.get("allowWatchBookmarks") in {"true", "1"},
            timeout=timeout,
        )
        beginning = watching.start(self._store, watch)

        def present(thing: Object) -> Object:
            return self._present(request, address, thing)

        lines = watching.lines(self._store.history, watch, beginning, present)
        return StreamingResponse(lines, media_type="application/json")

    async def _write(self, request: Request, address: Address) -> Response:
        if address.kind.read_only:
            raise errors.method_not_allowed()
        query = request.query_params
        write = Write("All" in query.getlist("dryRun"), query.get("fieldValidation") == "Strict")
        if request.method == "POST" and not address.name:
            body = await _read_body(request)
            return JSONResponse(await self._verbs.create(address, body, write=write), 201)
        if request.method == "DELETE":
            return await self._delete(request, address, write=write)
        if not address.name:
            raise errors.method_not_allowed()
        if request.method == "PUT":
            return JSONResponse(await self._verbs.replace(address, await _read_body(request), write=write))
        if request.method == "PATCH":
            return JSONResponse(await self._patch(request, address, write=write))
        raise errors.method_not_allowed()

    async def _patch(self, request: Request, address: Address, *, write: Write) -> Object:
        content_type = request.headers.get("content-type", "").split(";")[0].strip()
        served = [one for one in _PATCHES if not (one.startswith("application/strategic") and address.kind.group)]
        if content_type not in served:
            raise errors.unsupported_media_type(served)
        patch, apply = await _read_body(request), _PATCHES[content_type]

        if content_type == _JSON_PATCH and not isinstance(patch, list):
            what = "json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"
            raise errors.bad_request(f"error decoding patch: {what}")

        def change(old: Object) -> Any:
            try:
                return apply(old, patch)
            except patches.PatchError as error:
                log.info("%s %s: %s", request.method, request.url.path, error)
                message = "the server rejected our request due to an error in our request"
                raise errors.ApiError(422, "Invalid", message) from None

        return await self._verbs.update(address, change, write=write)

    async def _delete(self, request: Request, address: Address, *, write: Write) -> Response:
        options = await _read_body(request, empty={})
        wanted = options.get("preconditions") or {}
        preconditions = Preconditions(str(wanted.get("uid") or ""), str(wanted.get("resourceVersion") or ""))
        if address.name:
            thing = await self._verbs.delete(address, preconditions, write=write)
            return JSONResponse(_deleted(address, thing))
        things = listing.select(self._store, address, listing.read_selection(request.query_params))
        for thing in things:
            one = Address(address.kind, meta(thing).get("namespace", ""), meta(thing)["name"])
            await self._verbs.delete(one, Preconditions(uid_of(thing)), write=write)
        return JSONResponse(listing.list_of(address.kind, things, {}))


def _deleted(address: Address, thing: Object) -> Object:
    details = {"name": address.name, "group": address.kind.group, "kind": address.kind.plural, "uid": uid_of(thing)}
    details = {key: value for key, value in details.items() if value}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def _include(request: Request) -> Include:
    try:
        return Include(request.query_params.get("includeObject") or Include.METADATA)
    except ValueError:
        raise errors.bad_request("includeObject must be None, Metadata or Object") from None


async def _read_body(request: Request, empty: Any = None) -> Any:
    """The body as JSON or YAML. Raises ApiError when it is too large or unreadable."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BODY:
            raise errors.ApiError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {MAX_BODY}")
        chunks.append(chunk)
    body = b"".join(chunks)
    if not body.strip() and empty is not None:
        return empty
    content_type = request.headers.get("content-type", "")
    try:
        if content_type.startswith(protobuf.MEDIA_TYPE):
            return protobuf.decode(body)
        if "yaml" in content_type:
            return yaml.safe_load(body)
        return json.loads(body)
    except (ValueError, yaml.YAMLError) as error:
        raise errors.bad_request(f"the body of the request cannot be read: {error}") from None


def _discover(request: Request) -> Response:
    """Everything that is no resource: versions, groups, OpenAPI, health."""
    if request.method not in {"GET", "HEAD"}:
        raise errors.no_such_path()
    path = request.url.path.rstrip("/")
    fixed: dict[str, Any] = {
        "/version": discovery.make_version,
        "/api": discovery.make_core_versions,
        "/apis": discovery.make_group_list,
        "/openapi/v3": discovery.make_openapi_index,
    }
    if path in fixed:
        return JSONResponse(fixed[path]())
    if path in {"/healthz", "/livez", "/readyz"}:
        return Response("ok", media_type="text/plain")
    if path == "/openapi/v2":
        if "protobuf" in request.headers.get("accept", ""):
            return Response(discovery.encode_openapi_v2(), media_type=_OPENAPI_V2)
        return JSONResponse(discovery.make_openapi_v2())
    found = _discover_group(path)
    if found is None:
        raise errors.no_such_path()
    return JSONResponse(found)


def _discover_group(path: str) -> Object | None:
    parts = path.strip("/").split("/")
    described = parts[:2] == ["openapi", "v3"]
    if described:
        parts = parts[2:]
    group, rest = ("", parts[1:]) if parts[0] == "api" else (parts[1] if len(parts) > 1 else "", parts[2:])
    if parts[0] not in {"api", "apis"}:
        return None
    if len(rest) == 1 and (group, rest[0]) in discovery.GROUPS:
        if described:
            return discovery.make_openapi_document(group, rest[0])
        return discovery.make_resource_list(group, rest[0])
    for served, version in discovery.GROUPS:
        if not rest and served == group and group:
            return {"kind": "APIGroup", "apiVersion": "v1"} | discovery.make_group(group, version)
    return None
