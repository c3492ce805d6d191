"""The environment of one task's MLflow server: read by the server, written by whoever makes its Knative Service.

One class is the whole contract, so the two sides cannot drift: `from_env(to_env())` is the identity but for the port,
which Knative itself sets, and BIGPANDA_STORE_SECONDS, which comes with the store's Secret. Importing this module costs
nothing beyond the standard library.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from mlflow_on_demand.errors import SettingsError
from mlflow_on_demand.stores import HTTP_SCHEMES
from mlflow_on_demand.xrootd_uri import SCHEMES as XROOTD_SCHEMES

JEDITASKID = "BIGPANDA_JEDITASKID"
SNAPSHOT_STORE = "BIGPANDA_SNAPSHOT_STORE"
PUBLIC_URL = "BIGPANDA_PUBLIC_URL"
PORT = "PORT"
HOST = "HOST"
STORE_SECONDS = "BIGPANDA_STORE_SECONDS"
DEFAULT_PORT = 8080
DEFAULT_HOST = "0.0.0.0"  # noqa: S104 (a pod has an address of its own)
DEFAULT_STORE_SECONDS = 60

# Experiment ids are made of the jeditaskid and six digits more; SQLite and JavaScript both have to hold them exactly.
MAX_JEDITASKID = 9_007_199_254


@dataclass(frozen=True)
class ServerSettings:
    """What the server of one task needs to know.

    `snapshot_store` is a URI prefix (`s3://bucket/prefix`, `root://host//path` or `file:///dir`), `public_url` the
    address of the task's page as a browser sees it, `scheme://host[:port]` without a path. So many `store_seconds` a
    wake waits for the store before it says so and tries again. Credentials are not here: S3 reads boto3's own
    variables, XRootD those of its tools.
    """

    jeditaskid: int
    snapshot_store: str
    public_url: str
    port: int = DEFAULT_PORT
    host: str = DEFAULT_HOST
    store_seconds: int = DEFAULT_STORE_SECONDS

    def __post_init__(self) -> None:
        if not 0 < self.jeditaskid <= MAX_JEDITASKID:
            raise SettingsError(f"{JEDITASKID} must lie between 1 and {MAX_JEDITASKID}, not {self.jeditaskid}")
        if not 0 <= self.port <= 65535:
            raise SettingsError(f"{PORT} must lie between 0 and 65535, not {self.port}")
        if not 0 < self.store_seconds <= 3600:
            raise SettingsError(f"{STORE_SECONDS} must lie between 1 and 3600, not {self.store_seconds}")
        _check_store(self.snapshot_store)
        _check_public_url(self.public_url)

    @property
    def public_host(self) -> str:
        """The task's host name, lower case and without the port, e.g. `task-30456789.bigpanda.localhost`."""
        return urlsplit(self.public_url).hostname or ""

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "ServerSettings":
        """Read the settings from a mapping such as `os.environ`; SettingsError names the variable at fault."""
        return cls(
            jeditaskid=_whole_number(JEDITASKID, _required(env, JEDITASKID)),
            snapshot_store=_required(env, SNAPSHOT_STORE),
            public_url=_required(env, PUBLIC_URL),
            port=_whole_number(PORT, env.get(PORT) or str(DEFAULT_PORT)),
            host=env.get(HOST) or DEFAULT_HOST,
            store_seconds=_whole_number(STORE_SECONDS, env.get(STORE_SECONDS) or str(DEFAULT_STORE_SECONDS)),
        )

    def to_env(self) -> dict[str, str]:
        """The variables to put into the container; without PORT, which Knative sets and refuses to be given, and what
        belongs to the machine or the store and not to the task.
        """
        return {
            JEDITASKID: str(self.jeditaskid),
            SNAPSHOT_STORE: self.snapshot_store,
            PUBLIC_URL: self.public_url,
        }


def _required(env: Mapping[str, str], name: str) -> str:
    value = env.get(name, "")
    if not value:
        raise SettingsError(f"{name} is not set")
    return value


def _whole_number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise SettingsError(f"{name} must be a whole number")
    return int(text)


def _check_store(uri: str) -> None:
    parts = _split(SNAPSHOT_STORE, uri)
    if parts.scheme == "s3" and parts.netloc:
        return
    if parts.scheme == "file" and not parts.netloc and parts.path.startswith("/"):
        return
    # A query could be a secret, and a password is one.
    if (
        parts.scheme in (*HTTP_SCHEMES, *XROOTD_SCHEMES)
        and parts.hostname
        and "@" not in parts.netloc
        and not parts.query
    ):
        return
    raise SettingsError(
        f"{SNAPSHOT_STORE} must be s3://bucket/prefix, root://host//path, davs://host/path or file:///directory"
    )


def _check_public_url(url: str) -> None:
    parts = _split(PUBLIC_URL, url)
    try:
        port_is_good = parts.port is None or parts.port > 0
    except ValueError:
        port_is_good = False
    rest = parts.path or parts.query or parts.fragment or parts.username or parts.password
    if parts.scheme not in ("http", "https") or not parts.hostname or rest or not port_is_good:
        raise SettingsError(f"{PUBLIC_URL} must be scheme://host[:port] with http or https, and nothing after it")


def _split(name: str, uri: str) -> SplitResult:
    if any(ord(character) <= 32 for character in uri):
        raise SettingsError(f"{name} must not contain spaces or control characters")
    try:
        return urlsplit(uri)
    except ValueError:
        raise SettingsError(f"{name} is no URI") from None
