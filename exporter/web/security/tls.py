"""TLS of the web server: from settings to an `ssl.SSLContext`, with every problem reported.

Certificates and keys are read into memory first, so that what was checked is what is served.
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
"""Takes the name of a setting and what is wrong with it."""

VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
POLICIES = {
    "NoClientCert": ssl.CERT_NONE,
    "RequestClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
CURVES = {"X25519": "X25519", "CurveP256": "prime256v1", "CurveP384": "secp384r1", "CurveP521": "secp521r1"}
ALWAYS_ON = frozenset({"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"})
"""The suites of TLS 1.3, which cannot be chosen, in Go neither."""
SUITES = {
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
"""The names of Go's crypto/tls, which the file uses, and OpenSSL's."""


@dataclass(frozen=True, slots=True)
class TLSSettings:
    """The section `tls_server_config`, under its own names; an empty text is a setting left out."""

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
        """The files that are read beside the configuration."""
        return frozenset(path for path in (self.cert_file, self.key_file, self.client_ca_file) if path)


def build_context(settings: TLSSettings, report: Report) -> ssl.SSLContext:
    """Make a context for new handshakes; it is of use only if nothing was reported."""
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
    certificate = read_pem("cert", settings.cert, settings.cert_file, report)
    key = read_pem("key", settings.key, settings.key_file, report)
    if not certificate or not key:
        return
    if problem := find_pem_problem(certificate):
        report("cert_file" if settings.cert_file else "cert", f"the certificate cannot be used: {problem}")
        return
    place = "key_file" if settings.key_file else "key"
    if b"ENCRYPTED" in key:
        report(place, "the key has a passphrase, which this server cannot ask for; `openssl pkey` takes it off")
        return
    try:
        with expose(certificate) as certificate_path, expose(key) as key_path:
            context.load_cert_chain(certificate_path, key_path, password="")
    except OSError as error:
        report(place, f"the key cannot be used: {explain(error)}")


def find_pem_problem(certificates: bytes) -> str | None:
    """Why these are no certificates, or None."""
    if b"-----BEGIN " not in certificates:
        return "there is no PEM in it"
    try:
        load_authorities(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), certificates)
    except ssl.SSLError as error:
        return explain(error)
    return None


def load_authorities(context: ssl.SSLContext, certificates: bytes) -> None:
    """Trust these certificates; their comments may be in any script, which Python would refuse."""
    context.load_verify_locations(cadata=certificates.decode("ascii", "ignore"))


def read_pem(name: str, inline: str, path: Path | None, report: Report) -> bytes:
    """The content of `name` or `name_file`; empty, and reported, if there is none."""
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
def expose(content: bytes) -> Iterator[str]:
    """A path under which OpenSSL reads the content, without a file on disk."""
    descriptor = os.memfd_create("pem", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def explain(error: OSError) -> str:
    """The system's or OpenSSL's reason in words."""
    reasons = {
        "KEY_VALUES_MISMATCH": "the key does not belong to the certificate",
        "NO_START_LINE": "there is no PEM in it",
        "EE_KEY_TOO_SMALL": "the key is too short",
    }
    if not isinstance(error, ssl.SSLError):
        return str(error)
    reason = error.reason or ""
    return reasons.get(reason, reason.replace("_", " ").lower()) or "it is no valid PEM"


def set_client_policy(context: ssl.SSLContext, settings: TLSSettings, report: Report) -> None:
    policy = POLICIES[settings.client_auth_type]
    given = settings.client_ca or settings.client_ca_file
    if policy is ssl.CERT_NONE:
        for name in ("client_ca", "client_ca_file", "client_allowed_sans"):
            if getattr(settings, name):
                report(name, "has no effect without client_auth_type: RequireAndVerifyClientCert")
        return
    if not given:
        use_system_authorities(context, policy, report)
        return
    authorities = read_pem("client_ca", settings.client_ca, settings.client_ca_file, report)
    if not authorities:
        return
    if problem := find_pem_problem(authorities):
        report("client_ca_file" if settings.client_ca_file else "client_ca", f"cannot be used: {problem}")
        return
    context.verify_mode = policy
    load_authorities(context, authorities)


def use_system_authorities(context: ssl.SSLContext, policy: ssl.VerifyMode, report: Report) -> None:
    """What the toolkit does without authorities of its own: harmless only where a client needs no certificate."""
    if policy is ssl.CERT_REQUIRED:
        # Anyone with any public certificate would get in.
        report("client_auth_type", "missing client_ca_file: whose client certificates are to be accepted?")
        return
    context.verify_mode = policy
    context.load_default_certs(ssl.Purpose.CLIENT_AUTH)


def set_versions(context: ssl.SSLContext, settings: TLSSettings, report: Report) -> None:
    lowest, highest = VERSIONS[settings.min_version], VERSIONS[settings.max_version]
    if lowest > highest:
        report("min_version", f"{settings.min_version} is above max_version: {settings.max_version}")
        return
    context.minimum_version = lowest
    context.maximum_version = highest


def set_suites(context: ssl.SSLContext, settings: TLSSettings, report: Report) -> None:
    unknown = [name for name in settings.cipher_suites if name not in SUITES and name not in ALWAYS_ON]
    for name in unknown:
        report("cipher_suites", f"unknown cipher suite {name!r}; the names are those of Go's crypto/tls")
    if unknown or not settings.cipher_suites:
        return
    chosen = [SUITES[name] for name in settings.cipher_suites if name in SUITES]
    if not chosen and settings.max_version == "TLS12":
        report("cipher_suites", "has suites of TLS 1.3 only, but max_version is TLS12")
    elif not chosen:
        context.minimum_version = ssl.TLSVersion.TLSv1_3
    else:
        apply_suites(context, chosen, report)


def apply_suites(context: ssl.SSLContext, chosen: list[str], report: Report) -> None:
    try:
        context.set_ciphers(":".join(chosen))
    except ssl.SSLError:
        report("cipher_suites", "this machine's OpenSSL has none of these suites")


def set_curve(context: ssl.SSLContext, settings: TLSSettings, report: Report) -> None:
    unknown = [name for name in settings.curve_preferences if name not in CURVES]
    for name in unknown:
        report("curve_preferences", f"unknown curve {name!r}; use one of {', '.join(CURVES)}")
    if not set(CURVES) - set(settings.curve_preferences):
        return  # no restriction: OpenSSL's own list has them all
    if len(settings.curve_preferences) > 1:
        report("curve_preferences", "this server can offer one curve or OpenSSL's own list, no list of yours; name one")
    elif settings.curve_preferences and not unknown:
        apply_curve(context, settings.curve_preferences[0], report)


def apply_curve(context: ssl.SSLContext, name: str, report: Report) -> None:
    try:
        context.set_ecdh_curve(CURVES[name])
    except (ValueError, ssl.SSLError):
        report("curve_preferences", f"this machine's OpenSSL does not have {name}")


def find_names(certificate: Mapping[str, Any]) -> Iterator[str]:
    """The subject alternative names of a peer's certificate, as exporter-toolkit writes them."""
    for kind, value in certificate.get("subjectAltName", ()):
        if kind == "IP Address":
            yield str(ipaddress.ip_address(value.strip()))
        elif kind in {"DNS", "email", "URI"}:
            yield value


def is_allowed(certificate: Mapping[str, Any] | None, names: tuple[str, ...]) -> bool:
    """Whether a verified client may connect; a client without a certificate is the policy's affair."""
    return not names or not certificate or not set(names).isdisjoint(find_names(certificate))
