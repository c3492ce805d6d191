"""A Kerberos realm of one user and one server, with a real key distribution centre."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support.need import lacking
from support.xrootd_server import Ground, until_we_end

_REALM = "EXAMPLE.CH"
_PASSWORD = "only-for-tests"
_PROGRAMS = ("krb5kdc", "kdb5_util", "kadmin.local", "kinit")


@dataclass(frozen=True)
class Realm:
    """What a server needs to be in it, and in which environment its users get their tickets."""

    lines: list[str]
    environment: dict[str, str]

    def take_ticket(self, cache: Path, *options: str) -> None:
        """As `kinit` does."""
        env = {**os.environ, **self.environment}
        command = ["kinit", "-c", f"FILE:{cache}", *options, "panda"]
        subprocess.run(command, env=env, input=f"{_PASSWORD}\n", text=True, check=True, capture_output=True)


@contextlib.contextmanager
def kerberos(place: Ground) -> Iterator[Realm]:
    """A realm whose files lie in the folder of the server to come."""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    if missing := [program for program in _PROGRAMS if shutil.which(program, path=path) is None]:
        lacking(f"Kerberos is missing ({', '.join(missing)}): tests/install-debian-packages installs it")
    folder = place.folder / "kerberos"
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    _configure(folder, port)
    environment = {"KRB5_CONFIG": f"{folder}/krb5.conf"}
    env = {**os.environ, **environment, "KRB5_KDC_PROFILE": f"{folder}/kdc.conf", "PATH": path}
    keytab = folder / "host.keytab"
    for command in (
        ["kdb5_util", "create", "-s", "-r", _REALM, "-P", _PASSWORD],
        ["kadmin.local", "-q", f"addprinc -pw {_PASSWORD} panda"],
        ["kadmin.local", "-q", "addprinc -randkey host/localhost"],
        ["kadmin.local", "-q", f"ktadd -k {keytab} host/localhost"],
    ):
        subprocess.run(command, env=env, check=True, capture_output=True)
    centre = subprocess.Popen(
        [*until_we_end(), "krb5kdc", "-n"], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_for(port, centre)
        protocol = f"sec.protocol krb5 {keytab} host/localhost@{_REALM}"
        yield Realm(["xrootd.seclib libXrdSec.so", protocol, "sec.protbind * only krb5"], environment)
    finally:
        centre.terminate()
        centre.wait()


def _configure(folder: Path, port: int) -> None:
    (folder / "krb5.conf").write_text(f"""
[libdefaults]
  default_realm = {_REALM}
  dns_lookup_kdc = false
  dns_lookup_realm = false
  dns_canonicalize_hostname = false
  rdns = false
  udp_preference_limit = 1
[realms]
  {_REALM} = {{
    kdc = 127.0.0.1:{port}
  }}
[domain_realm]
  localhost = {_REALM}
""")
    (folder / "kdc.conf").write_text(f"""
[realms]
  {_REALM} = {{
    database_name = {folder}/principal
    key_stash_file = {folder}/stash
    kdc_listen = 127.0.0.1:{port}
    kdc_tcp_listen = 127.0.0.1:{port}
  }}
[logging]
  kdc = FILE:{folder}/kdc.log
""")


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    raise RuntimeError("krb5kdc did not start")
