"""What a runtime is started with."""

import dataclasses
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Settings:
    """Where the state lives, which images exist, and on which loopback ports to listen (0: pick one and keep it)."""

    state: Path
    images: Path
    domain: str = "localhost"
    ingress_port: int = 8080
    internal_port: int = 8081
    api_port: int = 6443
    grace: float = 30.0
    """Seconds between SIGTERM and SIGKILL for a pod that is put to sleep or deleted."""
    shutdown_grace: float = 10.0
    """The same when the whole runtime stops."""


@dataclasses.dataclass(frozen=True)
class Ports:
    """The ports that were really taken."""

    ingress: int
    internal: int
    api: int
