"""Certificates for one run of the tests: an authority, a server on this machine and a client."""

from __future__ import annotations

import datetime as dt
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOSTS = [
    x509.DNSName("localhost"),
    x509.IPAddress(ip_address("127.0.0.1")),
    x509.IPAddress(ip_address("::1")),
]


def write(folder: Path, client: str) -> None:
    """Write ca.crt, server.crt, server.key, client.crt and client.key; the client's certificate names ``client``."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    name = _name("Authority of a test run")
    authority = _unsigned(name, authority_key).add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
    _save(folder / "ca.crt", authority.issuer_name(name).sign(authority_key, hashes.SHA256()))
    for file, subject, hosts in [("server", "localhost", HOSTS), ("client", client, [])]:
        key = ec.generate_private_key(ec.SECP256R1())
        request = _unsigned(_name(subject), key).issuer_name(name)
        if hosts:
            request = request.add_extension(x509.SubjectAlternativeName(hosts), False)
        _save(folder / f"{file}.crt", request.sign(authority_key, hashes.SHA256()))
        _save_key(folder / f"{file}.key", key)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _unsigned(subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # A day earlier: a clock that is set back during the run is no reason to fail.
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=2))
    )


def _save(path: Path, certificate: x509.Certificate) -> None:
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _save_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    path.touch(0o600)
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
