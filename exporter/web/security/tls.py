"""TLS of the web server: builds an `ssl.SSLContext` from the settings and reports every problem.

Certificates and keys are read once, into memory, so that the content that was checked is the content in use.
"""

from __future__ import annotations

import ipaddress
import os
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Report = Callable[[str, str], None]
"""Called with the name of a setting and what is wrong with it."""

VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
VERIFY_MODES = {
    "NoClientCert": ssl.CERT_NONE,
    "RequestClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
OPENSSL_CURVES = {"X25519": "X25519", "CurveP256": "prime256v1", "CurveP384": "secp384r1", "CurveP521": "secp521r1"}
TLS13_SUITES = frozenset({"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"})
"""The suites of TLS 1.3. They are always enabled, as in Go."""
OPENSSL_SUITES = {
    f"TLS_ECDHE_{kind}_WITH_{ours}": f"ECDHE-{kind}-{theirs}"
    for kind in ("ECDSA", "RSA")
    for ours, theirs in {
        "AES_128_CBC_SHA": "AES128-SHA",
        "AES_256_CBC_SHA": "AES256-SHA",
        "AES_128_GCM_SHA256": "AES128-GCM-SHA256",
        "AES_256_GCM_SHA384": "AES256-GCM-SHA384",
        "CHACHA20_POLY1305_SHA256": "CHACHA20-POLY1305",
    }.items()
}
"""OpenSSL's name of each suite, by the name in Go's crypto/tls, which the file uses."""


@dataclass(frozen=True, slots=True)
class TLSSettings:
    """The section `tls_server_config`, with its own names; an empty text is a setting that is not given."""

    cert: str = ""
    key: str = field(default="", repr=False)
    client_ca: str = ""
    cert_file: Path | None = None
    key_file: Path | None = None
    client_ca_file: Path | None = None
    client_auth_type: str = "NoClientCert"
    client_allowed_sans: tuple[str, ...] = ()
    min_version: str = "TLS12"
    max_version: str = "TLS13"
    cipher_suites: tuple[str, ...] = ()
    curve_preferences: tuple[str, ...] = ()
    prefer_server_cipher_suites: bool = True

    @property
    def files(self) -> frozenset[Path]:
        """Certificate and key files that are given."""
        return frozenset(path for path in (self.cert_file, self.key_file, self.client_ca_file) if path)


def build_context(settings: TLSSettings, report: Report) -> ssl.SSLContext:
    """Build the context for new handshakes. It must not be used if a problem was reported."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    load_certificate(context, settings, report)
    set_client_policy(context, settings, report)
    set_versions(context, settings, report)
    set_suites(context, settings, report)
    set_curve(context, settings, report)
    if not settings.prefer_server_cipher_suites:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    return context


def load_certificate(context: ssl.SSLContext, settings: TLSSettings, report: Report) -> None:
    """Load certificate and key into the context."""
    certificate = read_pem("cert", settings.cert, settings.cert_file, report)
    key = read_pem("key", settings.key, settings.key_file, report)
    if not certificate or not key:
        return
    if problem := check_pem(certificate):
        report("cert_file" if settings.cert_file else "cert", f"the certificate cannot be used: {problem}")
        return
    name = "key_file" if settings.key_file else "key"
    if b"ENCRYPTED" in key:
        report(name, "the key has a passphrase, which this server cannot ask for; remove it with `openssl pkey`")
        return
    try:
        with open_as_path(certificate) as certificate_path, open_as_path(key) as key_path:
            context.load_cert_chain(certificate_path, key_path, password="")
    except OSError as error:
        report(name, f"the key cannot be used: {format_ssl_error(error)}")


def check_pem(certificates: bytes) -> str | None:
    """Why these are not certificates, or None."""
    if b"-----BEGIN " not in certificates:
        return "there is no PEM in it"
    try:
        load_authorities(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), certificates)
    except ssl.SSLError as error:
        return format_ssl_error(error)
    return None


def load_authorities(context: ssl.SSLContext, certificates: bytes) -> None:
    """Trust these certificates. Comments with non-ASCII characters are dropped, because Python refuses them."""
    context.load_verify_locations(cadata=certificates.decode("ascii", "ignore"))


def read_pem(name: str, inline: str, path: Path | None, report: Report) -> bytes:
    """The content of `name` or `name_file`; empty, with a problem reported, if there is none."""
    if inline and path:
        report(name, f"{name} and {name}_file are both given; keep one")
    elif inline:
        return inline.encode()
    elif path:
        return read_file(f"{name}_file", path, report)
    else:
        report(f"{name}_file", f"missing one of {name} or {name}_file")
    return b""


def read_file(name: str, path: Path, report: Report) -> bytes:
    """The content of a file; empty, with a problem reported, if it cannot be read or is empty."""
    try:
        content = path.read_bytes()
    except OSError as error:
        report(name, f"{path} cannot be read: {error.strerror}")
        return b""
    except ValueError:
        report(name, "this is not a file name")
        return b""
    if not content.strip():
        report(name, f"{path} is empty")
        return b""
    return content


@contextmanager
def open_as_path(content: bytes) -> Iterator[str]:
    """Yield a path from which OpenSSL reads the content, without a file on disk."""
    descriptor = os.memfd_create("pem", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def format_ssl_error(error: OSError) -> str:
    """The error of the system or of OpenSSL in words."""
    reasons = {
        "KEY_VALUES_MISMATCH": "the key does not belong to the certificate",
        "NO_START_LINE": "there is no PEM in it",
        "EE_KEY_TOO_SMALL": "the key is too short",
    }
    if not isinstance(error, ssl.SSLError):
        return str(error)
    reason = error.reason or ""
    return reasons.get(reason, reason.replace("_", " ").lower()) or "it is not valid PEM"


def set_client_policy(context: ssl.SSLContext, settings: TLSSettings, report: Report) -> None:
    """Set whether client certificates are verified, and by which authorities."""
    policy = VERIFY_MODES[settings.client_auth_type]
    has_authorities = settings.client_ca or settings.client_ca_file
    if policy is ssl.CERT_NONE:
        for name in ("client_ca", "client_ca_file", "client_allowed_sans"):
            if getattr(settings, name):
                report(name, "has no effect without client_auth_type: RequireAndVerifyClientCert")
        return
    if not has_authorities:
        use_system_authorities(context, policy, report)
        return
    authorities = read_pem("client_ca", settings.client_ca, settings.client_ca_file, report)
    if not authorities:
        return
    if problem := check_pem(authorities):
        report("client_ca_file" if settings.client_ca_file else "client_ca", f"cannot be used: {problem}")
        return
    context.verify_mode = policy
    load_authorities(context, authorities)


def use_system_authorities(context: ssl.SSLContext, policy: ssl.VerifyMode, report: Report) -> None:
    """Use the authorities of the system, as exporter-toolkit does; only where client certificates are optional."""
    if policy is ssl.CERT_REQUIRED:
        # Everybody with a certificate of a public authority would have access.
        report("client_auth_type", "client_ca_file is missing: it has the authorities that sign client certificates")
        return
    context.verify_mode = policy
    context.load_default_certs(ssl.Purpose.CLIENT_AUTH)


def set_versions(context: ssl.SSLContext, settings: TLSSettings, report: Report) -> None:
    """Set the lowest and the highest TLS version."""
    lowest, highest = VERSIONS[settings.min_version], VERSIONS[settings.max_version]
    if lowest > highest:
        report("min_version", f"{settings.min_version} is above max_version: {settings.max_version}")
        return
    context.minimum_version = lowest
    context.maximum_version = highest


def set_suites(context: ssl.SSLContext, settings: TLSSettings, report: Report) -> None:
    """Set the cipher suites, which are named as in Go."""
    unknown = [name for name in settings.cipher_suites if name not in OPENSSL_SUITES and name not in TLS13_SUITES]
    for name in unknown:
        report("cipher_suites", f"unknown cipher suite {name!r}; the names are those of Go's crypto/tls")
    if unknown or not settings.cipher_suites:
        return
    chosen = [OPENSSL_SUITES[name] for name in settings.cipher_suites if name in OPENSSL_SUITES]
    if not chosen and settings.max_version == "TLS12":
        report("cipher_suites", "only has suites of TLS 1.3, but max_version is TLS12")
    elif not chosen:
        context.minimum_version = ssl.TLSVersion.TLSv1_3
    else:
        apply_suites(context, chosen, report)


def apply_suites(context: ssl.SSLContext, chosen: list[str], report: Report) -> None:
    """Set suites by the names of OpenSSL."""
    try:
        context.set_ciphers(":".join(chosen))
    except ssl.SSLError:
        report("cipher_suites", "OpenSSL on this machine supports none of these suites")


def set_curve(context: ssl.SSLContext, settings: TLSSettings, report: Report) -> None:
    """Set the curve of the key exchange."""
    unknown = [name for name in settings.curve_preferences if name not in OPENSSL_CURVES]
    for name in unknown:
        report("curve_preferences", f"unknown curve {name!r}; use one of {', '.join(OPENSSL_CURVES)}")
    if not set(OPENSSL_CURVES) - set(settings.curve_preferences):
        return  # no restriction: OpenSSL's default list has all of them
    if len(settings.curve_preferences) > 1:
        report(
            "curve_preferences",
            "this server supports one curve or the default list of OpenSSL, not another list; give one curve",
        )
    elif settings.curve_preferences and not unknown:
        apply_curve(context, settings.curve_preferences[0], report)


def apply_curve(context: ssl.SSLContext, name: str, report: Report) -> None:
    """Set one curve by the name of OpenSSL."""
    try:
        context.set_ecdh_curve(OPENSSL_CURVES[name])
    except (ValueError, ssl.SSLError):
        report("curve_preferences", f"OpenSSL on this machine does not support {name}")


def list_subject_alternative_names(certificate: Mapping[str, Any]) -> Iterator[str]:
    """Yield the subject alternative names of a peer's certificate, as exporter-toolkit writes them."""
    for kind, value in certificate.get("subjectAltName", ()):
        if kind == "IP Address":
            yield str(ipaddress.ip_address(value.strip()))
        elif kind in {"DNS", "email", "URI"}:
            yield value


def has_allowed_san(certificate: Mapping[str, Any] | None, names: tuple[str, ...]) -> bool:
    """Whether a client certificate has one of the names; True too without names or without a certificate."""
    return not names or not certificate or not set(names).isdisjoint(list_subject_alternative_names(certificate))
