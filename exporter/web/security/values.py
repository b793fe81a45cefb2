"""Parsers for the values of the web configuration file.

They take a YAML node and raise ValueError; its message says what to write, and never repeats a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import yaml

from exporter.config.values import parse_duration

Parser = Callable[[yaml.Node], Any]
Section = Mapping[str, Parser]

CLIENT_AUTH_TYPES = ("NoClientCert", "RequestClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert")
UNSUPPORTED_CLIENT_AUTH = ("RequireAnyClientCert", "RequireClientCert")
VERSIONS = ("TLS12", "TLS13")
INSECURE_VERSIONS = ("TLS10", "TLS11")
BCRYPT_HASH = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}\Z")
MAX_BCRYPT_COST = 18
"""A login with cost 18 takes tens of seconds."""


def is_null(node: yaml.Node) -> bool:
    """Whether the value is missing."""
    return bool(node.tag.endswith(":null"))


def parse_scalar(node: yaml.Node) -> str:
    """One text; empty if the value is missing."""
    if not isinstance(node, yaml.ScalarNode):
        raise ValueError("expected a text")  # noqa: TRY004 - one type for all callers
    return "" if is_null(node) else str(node.value)


def parse_boolean(node: yaml.Node) -> bool:
    """true or false, also yes, no, on and off."""
    text = parse_scalar(node).lower()
    if not node.tag.endswith(":bool"):
        raise ValueError("expected true or false")
    return text in {"true", "yes", "on"}


def parse_list(node: yaml.Node) -> tuple[str, ...]:
    """A list of texts."""
    if is_null(node):
        return ()
    if not isinstance(node, yaml.SequenceNode):
        raise ValueError("expected a list")  # noqa: TRY004 - one type for all callers
    return tuple(parse_scalar(item) for item in node.value)


def parse_version(node: yaml.Node) -> str:
    """TLS12 or TLS13."""
    text = parse_scalar(node)
    if text in INSECURE_VERSIONS:
        raise ValueError(f"{text} is insecure and not supported; use TLS12 or TLS13")
    if text not in VERSIONS:
        raise ValueError(f"unknown TLS version {text!r}; use TLS12 or TLS13")
    return text


def parse_client_auth(node: yaml.Node) -> str:
    """A policy for client certificates."""
    text = parse_scalar(node) or "NoClientCert"
    if text in UNSUPPORTED_CLIENT_AUTH:
        raise ValueError(
            f"{text} accepts certificates without verifying them, which this server does not support; "
            "use RequireAndVerifyClientCert or VerifyClientCertIfGiven"
        )
    if text not in CLIENT_AUTH_TYPES:
        raise ValueError(f"unknown policy {text!r}; use one of {', '.join(CLIENT_AUTH_TYPES)}")
    return text


def parse_interval(node: yaml.Node) -> float:
    """A duration in seconds; a number without a unit is refused, because exporter-toolkit reads it as nanoseconds."""
    text = parse_scalar(node)
    if text in {"", "0"}:
        return 0.0
    with suppress(ValueError):
        if not text.isdecimal():
            return parse_duration(text)
    raise ValueError(f"{text!r} is not a duration with a unit; write for example 1s or 200ms")


def parse_burst(node: yaml.Node) -> int:
    """A whole number."""
    text = parse_scalar(node)
    if not re.fullmatch("[0-9]{1,9}", text):
        raise ValueError("expected a whole number")
    return int(text)


def parse_bcrypt_hash(node: yaml.Node) -> bytes:
    """A bcrypt hash whose cost is supported."""
    match = BCRYPT_HASH.match(parse_scalar(node))
    if match is None:
        raise ValueError("this is not a bcrypt hash; make one with `airflow-exporter hash-password`")
    if not 4 <= int(match[1]) <= MAX_BCRYPT_COST:
        raise ValueError(f"the bcrypt cost {match[1]} is not supported; use 4 to {MAX_BCRYPT_COST}, usually 10")
    return match[0].encode()


def parse_header(node: yaml.Node) -> str:
    """The value of a header."""
    text = parse_scalar(node)
    if not text.isascii() or not text.isprintable():
        raise ValueError("expected one line of printable ASCII characters")
    return text


def parse_choice(*allowed: str) -> Parser:
    """A parser for a header with a few possible values."""

    def parse(node: yaml.Node) -> str:
        text = parse_scalar(node)
        if text not in allowed:
            raise ValueError(f"{text!r} is not a value of this header; use {' or '.join(allowed)}")
        return text

    return parse


TLS_KEYS: Section = {
    "cert": parse_scalar,
    "key": parse_scalar,
    "client_ca": parse_scalar,
    "cert_file": parse_scalar,
    "key_file": parse_scalar,
    "client_ca_file": parse_scalar,
    "client_auth_type": parse_client_auth,
    "client_allowed_sans": parse_list,
    "min_version": parse_version,
    "max_version": parse_version,
    "cipher_suites": parse_list,
    "curve_preferences": parse_list,
    "prefer_server_cipher_suites": parse_boolean,
}
HTTP_KEYS: Section = {"http2": parse_boolean, "headers": lambda node: node}
HEADER_KEYS: Section = {
    "Content-Security-Policy": parse_header,
    "Strict-Transport-Security": parse_header,
    "X-Content-Type-Options": parse_choice("nosniff"),
    "X-Frame-Options": parse_choice("deny", "sameorigin"),
    "X-XSS-Protection": parse_header,
}
RATE_LIMIT_KEYS: Section = {"interval": parse_interval, "burst": parse_burst}
