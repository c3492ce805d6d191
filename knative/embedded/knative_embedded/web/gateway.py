"""One request to a Service, from its Route to its pod: what both listeners do once the host is understood."""

import asyncio
import random

from starlette.types import Receive, Scope, Send

from knative_embedded.objects import Object, namespace_of
from knative_embedded.pods.fleet import Fleet
from knative_embedded.pods.plan import CannotRun
from knative_embedded.pods.runner import Runner
from knative_embedded.web import headers, pages
from knative_embedded.web.proxy import PodUnreachable, Proxy, RequestBody, until_gone
from knative_embedded.web.routing import pick_revision

_ATTEMPTS = 3


class Gateway:
    """Wakes, waits, forwards, and says in plain words what went wrong."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._proxy = Proxy()

    async def close(self) -> None:
        """Close the connections to pods."""
        await self._proxy.close()

    async def serve(self, scope: Scope, receive: Receive, send: Send, found: tuple[Object, str]) -> None:
        """Answer a request for a Route and tag."""
        route, tag = found
        name = pick_revision(route, tag, random.uniform(0, 100))  # noqa: S311
        runner = self._fleet.runner(namespace_of(route), name) if name else None
        if runner is None:
            await refuse(scope, send, 503, "NotReady", pages.failed("It has no Revision that is ready yet."))
            return
        body = RequestBody(scope, receive)
        await until_gone(body, asyncio.create_task(self._exchange(scope, body, send, runner)))

    async def _exchange(self, scope: Scope, body: RequestBody, send: Send, runner: Runner) -> None:
        loop = asyncio.get_running_loop()
        ends = loop.time() + runner.timeout
        attempt = 0
        while True:
            attempt += 1
            try:
                async with runner.slot(max(ends - loop.time(), 0)) as pod:
                    timeouts = runner.first_byte_timeout, max(ends - loop.time(), 0)
                    await self._proxy.forward(scope, body, send, pod.port, timeouts)
            except CannotRun as error:
                await refuse(scope, send, 503, error.reason, pages.failed(str(error)))
            except TimeoutError:
                words = pages.failed(f"It did not answer within {runner.timeout:.0f} seconds.")
                await refuse(scope, send, 504, "Timeout", words)
            except PodUnreachable as error:
                if error.retry and attempt < _ATTEMPTS:
                    await asyncio.sleep(0.05 * attempt)
                    continue
                words = pages.failed(f"The connection to its process broke before it answered: {error}")
                await refuse(scope, send, 502, "BadGateway", words)
            return


async def refuse(scope: Scope, send: Send, status: int, reason: str, words: tuple[str, list[str]]) -> None:
    """Answer in the runtime's own words; never cached, never indexed."""
    accept = headers.find(scope["headers"], b"accept").decode("latin-1")
    kind, body = pages.make_answer(accept, reason, *words)
    fields = [
        (b"content-type", kind.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-robots-tag", b"noindex"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
