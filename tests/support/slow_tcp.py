"""A process between a client and a server that is far away: what the client sends arrives some milliseconds later.

usage: python -m support.slow_tcp <host:port> <milliseconds>

Prints the port that it listens on. It knows no protocol, so it stands before any server; it is a process of its own,
so that it costs its client no time of the interpreter.
"""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_BLOCK = 2**18


@contextmanager
def slow_tcp(target: str, milliseconds: float) -> Iterator[str]:
    """The `host:port` to use instead of the target's."""
    command = [sys.executable, "-m", "support.slow_tcp", target, str(milliseconds)]
    folder = Path(__file__).parent.parent
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.terminate()


async def main(target: str, milliseconds: str) -> None:
    """Pass on until it is ended."""
    host, _, port = target.rpartition(":")

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            from_server, to_server = await asyncio.open_connection(host, int(port))
            await asyncio.gather(
                _pass(reader, to_server, float(milliseconds) / 1000),
                _pass(from_server, writer, 0),
                return_exceptions=True,
            )

    server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=_BLOCK)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def _pass(source: asyncio.StreamReader, target: asyncio.StreamWriter, seconds: float) -> None:
    try:
        while data := await source.read(_BLOCK):
            if seconds:
                await asyncio.sleep(seconds)
            target.write(data)
            await target.drain()
    finally:
        target.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
