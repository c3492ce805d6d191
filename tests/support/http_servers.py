"""Real HTTP servers over folders of their own: rclone's WebDAV, Apache's (which heeds conditions) and its plain files,
with TLS and a bearer token too.
"""

import datetime as dt
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from knative_embedded.api.tls import ensure_credentials
from support.need import lacking
from support.serving import free_port, serving

_MODULES = Path("/usr/lib/apache2/modules")
_NEEDED = ("mpm_event", "authz_core", "dav", "dav_fs", "mime", "alias", "ssl")
_APACHE = """
ServerRoot "{state}"
ServerName localhost
PidFile "{state}/pid"
ErrorLog "{state}/errors"
{modules}
TypesConfig /dev/null
DavLockDB "{state}/locks/db"
DocumentRoot "{state}/plain"
Alias /dav "{state}/dav"
{rights}
Listen 127.0.0.1:{plain}
Listen 127.0.0.1:{tls}
<Directory "{state}/dav">
  Dav On
  Require all granted
</Directory>
<Directory "{state}/plain">
  ContentDigest On
  Require all granted
</Directory>
<VirtualHost 127.0.0.1:{tls}>
  SSLEngine on
  SSLCertificateFile "{state}/server.pem"
  SSLCertificateKeyFile "{state}/server-key.pem"
  SSLVerifyClient optional_no_ca
  Alias /certified "{state}/plain"
  <Location /certified>
    Require expr "%{{SSL_CLIENT_S_DN_CN}} == 'tester'"
  </Location>
  Redirect 307 /moved https://localhost:{tls}/dav
  Redirect 307 /elsewhere https://127.0.0.1:{tls}/plain
  Redirect 307 /unencrypted http://localhost:{plain}/dav
  Alias /secret "{state}/plain"
  <Location /secret>
    Require expr "%{{HTTP:Authorization}} == 'Bearer {token}'"
  </Location>
  <Location /plain>
    Require expr "-z %{{HTTP:Authorization}}"
  </Location>
  Alias /plain "{state}/plain"
</VirtualHost>
"""


@dataclass(frozen=True)
class Apache:
    """A running server: WebDAV at `dav`, plain files at `plain`; with TLS, at `tls` the same, `/secret` for who has
    the token, `/certified` for who has a certificate of `tester`, `/plain` for who sends no token, and redirects to
    the same host, to another name of it, and to no TLS.
    """

    folder: Path
    dav: str
    plain: str
    tls: str
    token: str
    authorities: Path


@contextmanager
def serving_rclone(state: Path) -> Iterator[str]:
    """The address of rclone's WebDAV over an empty folder."""
    rclone = Path(sys.executable).with_name("rclone")
    if not rclone.exists():
        lacking("rclone is not beside this Python: run make setup")
    (state / "files").mkdir()
    port = free_port()
    address = ["--addr", f"127.0.0.1:{port}", "--config", "", "--dir-cache-time", "10ms"]
    with serving([str(rclone), "serve", "webdav", str(state / "files"), *address], port, state / "log"):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def serving_apache() -> Iterator[Apache]:
    """Apache over empty folders, which are not pytest's: another user may not enter those."""
    if shutil.which("apache2") is None:
        lacking("Apache is missing: tests/install-debian-packages installs apache2-bin")
    with tempfile.TemporaryDirectory(prefix="apache-") as folder:
        state = Path(folder)
        state.chmod(0o711)
        for name in ("dav", "plain", "locks"):
            (state / name).mkdir()
        # As root, it gives its rights away: what it writes to is the other user's.
        rights = "User nobody\nGroup nogroup" if os.geteuid() == 0 else ""
        for name in ("dav", "plain", "locks") if rights else ():
            shutil.chown(state / name, "nobody", "nogroup")
        token = ensure_credentials(state, dt.datetime.now(dt.UTC))
        lines = "\n".join(f"LoadModule {name}_module {_MODULES}/mod_{name}.so" for name in _NEEDED)
        plain, tls = free_port(), free_port()
        config = _APACHE.format(state=state, modules=lines, rights=rights, plain=plain, tls=tls, token=token)
        (state / "apache.conf").write_text(config)
        with serving(["apache2", "-f", str(state / "apache.conf"), "-D", "FOREGROUND"], tls, state / "log"):
            http, https = f"http://127.0.0.1:{plain}", f"https://localhost:{tls}"
            yield Apache(state, f"{http}/dav", http, https, token, state / "ca.pem")
