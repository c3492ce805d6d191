"""A real XRootD server (Debian's `xrootd-server`) over a folder of its own, which ends with its context.

What EOS adds to the protocol (quota, versions, redirections to other machines) is not there.
"""

import contextlib
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bigpanda_laptop.ending import end
from support.need import lacking

_READY = re.compile(r"xrootd anon@\S+:(\d+) initialization completed")
_FAILED = re.compile(r"initialization failed")
_STOP_SECONDS = 5.0
# What is exported, as at CERN: URIs are root://host//eos/...
EXPORT = "/eos"


@dataclass(frozen=True)
class XRootDServer:
    """A running server: its port, and where on disk its `/eos` lies."""

    port: int
    data: Path
    log: Path

    def uri(self, path: str, scheme: str = "root") -> str:
        """A URI of ATLAS's kind, with two slashes before the path; `path` is below `/eos`."""
        return f"{scheme}://localhost:{self.port}/{EXPORT}/{path}"


@dataclass(frozen=True)
class Ground:
    """A folder that the server's user owns, for its keys and tokens, before it starts."""

    folder: Path

    def own(self) -> None:
        """Give everything in it to the user that the server runs as."""
        if user := _other_user():
            entry = pwd.getpwnam(user)
            for path in (self.folder, *self.folder.rglob("*")):
                os.chown(path, entry.pw_uid, entry.pw_gid)


@contextlib.contextmanager
def ground() -> Iterator[Ground]:
    """A fresh folder; not pytest's, which another user may not enter, and whose name is too long for a socket."""
    if shutil.which("xrootd") is None:
        lacking("XRootD's server is missing: tests/install-debian-packages installs xrootd-server")
    with tempfile.TemporaryDirectory(prefix="xrootd-") as folder:
        yield Ground(Path(folder))


@contextlib.contextmanager
def serving_xrootd(place: Ground, *lines: str, **environment: str) -> Iterator[XRootDServer]:
    """Start a server with these lines beside the usual ones, and this environment; it answers when this yields."""
    data = place.folder / "data"
    (data / EXPORT.strip("/")).mkdir(parents=True)
    config = place.folder / "xrootd.cfg"
    usual = [f"all.export {EXPORT}", f"oss.localroot {data}", "xrd.port any", "xrootd.chksum adler32"]
    usual += [f"all.adminpath {place.folder}", f"all.pidpath {place.folder}"]
    config.write_text("\n".join([*usual, *lines, ""]))
    place.own()
    log = place.folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            # Beside the file of its process id it writes another, which would else lie in /tmp.
            [*until_we_end(), "xrootd", "-c", str(config), "-s", f"{place.folder}/pid"],
            cwd=place.folder,
            env={**os.environ, "HOME": str(place.folder), "XDG_CACHE_HOME": f"{place.folder}/.cache", **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0,
            **_as_other_user(),
        )
    try:
        yield XRootDServer(_port(process, log), data / EXPORT.strip("/"), log)
    finally:
        end(process, _STOP_SECONDS)


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    while True:
        has_ended = process.poll() is not None  # asked before the log is read, which is then complete
        text = log.read_text(errors="replace")
        if ready := _READY.search(text):
            return int(ready[1])
        if has_ended or _FAILED.search(text):
            raise RuntimeError(f"xrootd did not start: {text[-2000:]}")
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.05)


def until_we_end() -> list[str]:
    """What goes before a command so that it ends with us, even if we are killed."""
    return ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []


def _other_user() -> str | None:
    """XRootD refuses to run as root."""
    return "nobody" if os.geteuid() == 0 else None


def _as_other_user() -> dict[str, Any]:
    if not (user := _other_user()):
        return {}
    entry = pwd.getpwnam(user)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
