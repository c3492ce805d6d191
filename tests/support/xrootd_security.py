"""What a secured XRootD server and its clients need: certificates, a shared secret, bearer tokens and their issuer."""

import base64
import contextlib
import datetime as dt
import json
import sqlite3
import subprocess
import time
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from knative_embedded.api.tls import ensure_credentials
from support.need import lacking
from support.xrootd_server import EXPORT, Ground

_ISSUER = "https://issuer.invalid/bigpanda"
_AUDIENCE = "https://wlcg.cern.ch/jwt/v1/any"
_PLUGIN = "libXrdAccSciTokens-5.so"


def tls_lines(place: Ground) -> list[str]:
    """TLS for whoever asks for it; the authority that clients should trust is `ca.pem` in the folder."""
    ensure_credentials(place.folder, dt.datetime.now(dt.UTC))
    certificate = f"{place.folder}/server.pem {place.folder}/server-key.pem"
    return [f"xrd.tls {certificate}", f"xrd.tlsca certfile {place.folder}/ca.pem", "xrootd.tls capable all"]


def keytab_lines(place: Ground, client_keytab: Path) -> list[str]:
    """Only those who know the shared secret, which is written to `client_keytab` too."""
    keytab = place.folder / "sss.keytab"
    add_key(keytab)
    client_keytab.write_bytes(keytab.read_bytes())
    client_keytab.chmod(0o600)
    return ["xrootd.seclib libXrdSec.so", f"sec.protocol sss -s {keytab}", "sec.protbind * only sss"]


def add_key(keytab: Path) -> None:
    """A new secret."""
    command = ["xrdsssadmin", "-k", "bigpanda", "-u", "panda", "-g", "atlas", "add", str(keytab)]
    subprocess.run(command, input="y\n", text=True, check=True, capture_output=True)


class Issuer:
    """Issues WLCG tokens; servers know its key without asking, for it is in their cache."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def token(self, seconds: float, scope: str = "storage.read:/ storage.modify:/") -> str:
        """One that ends in so many seconds."""
        now = int(time.time())
        claims = {"wlcg.ver": "1.0", "iss": _ISSUER, "aud": _AUDIENCE, "sub": "panda", "scope": scope}
        times = {"iat": now - 60, "nbf": now - 60, "exp": int(now + seconds), "jti": str(time.time_ns())}
        head = {"typ": "JWT", "alg": "RS256", "kid": "one"}
        signed = f"{_encode(json.dumps(head).encode())}.{_encode(json.dumps({**claims, **times}).encode())}"
        signature = self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_encode(signature)}"

    def lines(self, place: Ground) -> list[str]:
        """Only those with a token, over TLS, and only what it allows."""
        if not list(Path("/usr/lib").glob(f"*/{_PLUGIN}")):
            lacking("XRootD's tokens are missing: tests/install-debian-packages installs xrootd-scitokens-plugins")
        cache = place.folder / ".cache" / "scitokens"
        cache.mkdir(parents=True)
        numbers = self._key.public_key().public_numbers()
        n, e = (_encode(value.to_bytes((value.bit_length() + 7) // 8, "big")) for value in (numbers.n, numbers.e))
        key = {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "one", "n": n, "e": e}
        later = int(time.time()) + 100_000
        known = json.dumps({"jwks": {"keys": [key]}, "expires": later, "next_update": later})
        with contextlib.closing(sqlite3.connect(cache / "scitokens_cpp.sqllite")) as database:
            database.execute("CREATE TABLE keycache (issuer text UNIQUE PRIMARY KEY NOT NULL, keys text NOT NULL)")
            database.execute("INSERT INTO keycache VALUES (?, ?)", (_ISSUER, known))
            database.commit()
        config = place.folder / "scitokens.cfg"
        config.write_text(
            f"[Global]\naudience = {_AUDIENCE}\n[Issuer ours]\nissuer = {_ISSUER}\nbase_path = {EXPORT}\n"
        )
        return [
            *tls_lines(place),
            "xrootd.seclib libXrdSec.so",
            "sec.protocol ztn",
            "sec.protbind * only ztn",
            "ofs.authorize",
            f"ofs.authlib libXrdAccSciTokens.so config={config}",
        ]


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
