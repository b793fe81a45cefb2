"""Certificates for tests: made once for all of them, because making keys is slow."""

from __future__ import annotations

import ssl
from functools import cache
from pathlib import Path

import trustme
from cryptography.hazmat.primitives import serialization

HOST = "127.0.0.1"


@cache
def authority() -> trustme.CA:
    return trustme.CA()


@cache
def issue(name: str) -> trustme.LeafCert:
    """A certificate for this machine and the name; each name has a key of its own."""
    return authority().issue_cert(HOST, "localhost", name)


def write_pair(folder: Path, name: str = "server") -> None:
    """Write `server.crt` and `server.key`, replacing them as a rotation does."""
    leaf = issue(name)
    (folder / "server.crt").write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    (folder / "server.key").write_bytes(leaf.private_key_pem.bytes())


def write_certificates(folder: Path) -> None:
    """Write all files that the configurations of tests name."""
    write_pair(folder)
    authority().cert_pem.write_to_path(str(folder / "ca.crt"))
    issue("other").private_key_pem.write_to_path(str(folder / "other.key"))
    (folder / "encrypted.key").write_bytes(encrypt(issue("server").private_key_pem.bytes()))
    (folder / "empty.pem").write_bytes(b"\n")
    (folder / "junk.pem").write_bytes(b"-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")


def encrypt(key: bytes) -> bytes:
    loaded = serialization.load_pem_private_key(key, None)
    passphrase = serialization.BestAvailableEncryption(b"passphrase")
    return loaded.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, passphrase)


def trust(client: str = "") -> ssl.SSLContext:
    """A client's context that trusts our authority, and shows a certificate with this name."""
    context = ssl.create_default_context()
    authority().configure_trust(context)
    if client:
        issue(client).configure_cert(context)
    return context
