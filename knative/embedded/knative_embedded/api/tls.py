"""The API's certificates and token, made once per state folder.

A CA signs the server certificate; the kubeconfig carries the CA and a random bearer token. A web page in the user's
browser can reach loopback ports, but it can neither know the token nor make the browser send one.
"""

import datetime as dt
import ipaddress
import secrets
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from knative_embedded.state.folder import write_atomically

_DAYS = 3650
_RENEW_BEFORE = dt.timedelta(days=30)
_DNS_NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc.cluster.local")


def ensure_credentials(folder: Path, now: dt.datetime) -> str:
    """The token; certificates, keys and token are made where they are missing or near their end."""
    server = folder / "server.pem"
    if not server.exists() or _ends(server) - now < _RENEW_BEFORE:
        _write_certificates(folder, now)
    token = folder / "token"
    if not token.exists():
        write_atomically(token, secrets.token_urlsafe(32))
    return token.read_text()


def _ends(path: Path) -> dt.datetime:
    return x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc


def _write_certificates(folder: Path, now: dt.datetime) -> None:
    ca_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"knative-embedded-{secrets.token_hex(4)}")])
    ca = (
        _builder(ca_name, ca_name, ca_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(make_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in _DNS_NAMES]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in ("127.0.0.1", "::1")]
    server_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kube-apiserver")])
    server = (
        _builder(server_name, ca_name, server_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(make_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    key = server_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_atomically(folder / "ca.pem", ca.public_bytes(serialization.Encoding.PEM).decode())
    write_atomically(folder / "server-key.pem", key.decode())
    write_atomically(folder / "server.pem", server.public_bytes(serialization.Encoding.PEM).decode())


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: dt.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=_DAYS))
    )


def make_key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    """What the key of an authority, or of whoever shows its certificate in a connection, is for."""
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
