"""A grid of one authority, one server and one user with a proxy certificate, as `voms-proxy-init` would make it."""

import datetime as dt
import subprocess
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from knative_embedded.api.tls import make_key_usage
from support.xrootd_server import Ground

# RFC 3820: the extension of a proxy, which says that it inherits all rights of its issuer.
_PROXY = x509.UnrecognizedExtension(
    x509.ObjectIdentifier("1.3.6.1.5.5.7.1.14"), bytes.fromhex("300c300a06082b06010505071501")
)


def grid_lines(place: Ground, proxy: Path, ended_proxy: Path) -> list[str]:
    """Only users with a certificate of the authority, in `certificates` in the folder; writes two proxies."""
    authorities = place.folder / "certificates"
    authorities.mkdir()
    ca_key, ca_name = _key(), _name("Grid CA")
    ca = _certificate(ca_name, ca_name, ca_key, ca_key)
    (authorities / "ca.pem").write_bytes(_pem(ca))
    subprocess.run(["openssl", "rehash", str(authorities)], check=True)
    host_key = _key()
    host = _certificate(_name("localhost"), ca_name, host_key, ca_key)
    (place.folder / "host.pem").write_bytes(_pem(host))
    (place.folder / "host.key").write_bytes(_private(host_key))
    (place.folder / "host.key").chmod(0o400)
    _write_proxy(proxy, ca_name, ca_key, hours=12)
    _write_proxy(ended_proxy, ca_name, ca_key, hours=-1)
    options = "-gmapopt:10 -gridmap:/dev/null -crl:0 -vomsat:0"
    certificate = f"-certdir:{authorities} -cert:{place.folder}/host.pem -key:{place.folder}/host.key"
    return ["xrootd.seclib libXrdSec.so", f"sec.protocol gsi {certificate} {options}", "sec.protbind * only gsi"]


def _write_proxy(path: Path, ca_name: x509.Name, ca_key: rsa.RSAPrivateKey, hours: int) -> None:
    """A user's proxy: its certificate, its key, and the user's certificate."""
    user_key, proxy_key, user = _key(), _key(), _name("panda")
    certificate = _certificate(user, ca_name, user_key, ca_key)
    name = x509.Name([*user, x509.NameAttribute(NameOID.COMMON_NAME, "1795000000")])
    proxy = _certificate(name, user, proxy_key, user_key, hours=hours)
    path.write_bytes(_pem(proxy) + _private(proxy_key) + _pem(certificate))
    path.chmod(0o600)


def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _name(common: str) -> x509.Name:
    attributes = (
        (NameOID.DOMAIN_COMPONENT, "ch"),
        (NameOID.DOMAIN_COMPONENT, "example"),
        (NameOID.COMMON_NAME, common),
    )
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes])


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: rsa.RSAPrivateKey,
    signer: rsa.RSAPrivateKey,
    hours: int = 0,
) -> x509.Certificate:
    """The authority's if it issues itself; a proxy if it ends in some hours, else in a year."""
    now = dt.datetime.now(dt.UTC)
    is_authority = subject == issuer
    constraints = x509.BasicConstraints(ca=is_authority, path_length=None)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + (dt.timedelta(hours=hours) if hours else dt.timedelta(days=365)))
        .add_extension(make_key_usage(signs_certificates=is_authority), critical=True)
        .add_extension(_PROXY if hours else constraints, critical=True)
        .sign(signer, hashes.SHA256())
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _private(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
