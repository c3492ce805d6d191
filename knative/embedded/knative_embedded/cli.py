"""The command line: `python -m knative_embedded --state DIR --images FILE.toml`."""

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from knative_embedded.listeners import PortTaken
from knative_embedded.pods.images import ImageFileError
from knative_embedded.runtime import Runtime
from knative_embedded.settings import Settings
from knative_embedded.state.folder import StateInUse


def parse_arguments(arguments: Sequence[str]) -> Settings:
    """The settings that the arguments ask for; exits with usage when they are wrong."""
    defaults = Settings(Path(), Path())
    parser = argparse.ArgumentParser(prog="knative_embedded", description=__doc__.partition("\n")[0])
    parser.add_argument("--state", type=Path, required=True, help="folder that keeps everything (created)")
    parser.add_argument("--images", type=Path, required=True, help="TOML file: what each image name stands for")
    parser.add_argument("--domain", default=defaults.domain, help="public domain (default: %(default)s)")
    for name, port, what in (
        ("ingress", defaults.ingress_port, "public pages"),
        ("internal", defaults.internal_port, "brokers and cluster-local services"),
        ("api", defaults.api_port, "the Kubernetes API"),
    ):
        text = f"port of {what}; 0 picks one and keeps it (default: %(default)s)"
        parser.add_argument(f"--{name}-port", type=_port, default=port, metavar="PORT", help=text)
    return Settings(**vars(parser.parse_args(arguments)))


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{port} is no port")
    return port


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGINT or SIGTERM; the exit code."""
    settings = parse_arguments(sys.argv[1:] if arguments is None else arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    for name in ("httpx", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # A client that keeps its connection open is no error, and the only thing uvicorn says of it when we stop.
    logging.getLogger("uvicorn.error").addFilter(lambda record: "graceful shutdown" not in record.getMessage())
    try:
        asyncio.run(_run(settings))
    except (StateInUse, ImageFileError, PortTaken) as error:
        sys.stderr.write(f"knative_embedded: {error}\n")
        return 1
    return 0


async def _run(settings: Settings) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    async with Runtime(settings) as runtime:
        ports = runtime.ports
        line = f"ready: pages http://*.{settings.domain}:{ports.ingress}, KUBECONFIG={runtime.folder.kubeconfig}\n"
        sys.stdout.write(line)
        sys.stdout.flush()
        await stopping.wait()
