"""The readiness probe: HTTP GET or TCP connect, as kubelet and queue-proxy do.

Promise: `wait_ready` returns as soon as the probe passes; it polls often at first, since people wait for a wake.
"""

import asyncio
import contextlib
import dataclasses

from knative_embedded.objects import Object

_EAGER, _PATIENT, _EAGER_FOR = 0.02, 0.2, 10.0


@dataclasses.dataclass(frozen=True)
class Probe:
    """What to ask; an empty path means a TCP connection."""

    path: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    timeout: float = 1.0


def make_probe(container: Object) -> Probe:
    """The probe of a defaulted container. The pod's own port is asked, whatever port the probe names."""
    wanted = container.get("readinessProbe") or {}
    timeout = float(wanted.get("timeoutSeconds") or 1)
    http = wanted.get("httpGet")
    if http is None:
        return Probe(timeout=timeout)
    headers = tuple((one["name"], one["value"]) for one in http.get("httpHeaders") or [])
    return Probe(http.get("path") or "/", headers, timeout)


async def passes(probe: Probe, port: int) -> bool:
    """One attempt."""
    try:
        async with asyncio.timeout(probe.timeout):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                return await _ask(probe, reader, writer, port) if probe.path else True
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
    except (OSError, TimeoutError, ValueError):
        return False


async def _ask(probe: Probe, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> bool:
    headers = {"Host": f"127.0.0.1:{port}", "User-Agent": "kube-probe/1.34", "Accept": "*/*", **dict(probe.headers)}
    lines = [f"GET {probe.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    writer.write("\r\n".join([*lines, "Connection: close", "", ""]).encode())
    await writer.drain()
    status = (await reader.readline()).split()
    return len(status) > 1 and status[1].isdigit() and 200 <= int(status[1]) < 400


async def wait_ready(probe: Probe, port: int) -> None:
    """Until the probe passes; the caller bounds it."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while True:
        if await passes(probe, port):
            return
        await asyncio.sleep(_EAGER if loop.time() - began < _EAGER_FOR else _PATIENT)
