"""The values of the web configuration file: what each may be, and what to write instead.

Parsers take a YAML node and raise ValueError; a secret is never repeated in a message.
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
UNVERIFIED = ("RequireAnyClientCert", "RequireClientCert")
VERSIONS = ("TLS12", "TLS13")
OLD_VERSIONS = ("TLS10", "TLS11")
BCRYPT = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}\Z")
HIGHEST_COST = 18
"""One login at a cost of 18 takes tens of seconds."""


def is_null(node: yaml.Node) -> bool:
    return bool(node.tag.endswith(":null"))


def parse_text(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise ValueError("one text is expected here")  # noqa: TRY004 - one type for all callers
    return "" if is_null(node) else str(node.value)


def parse_flag(node: yaml.Node) -> bool:
    text = parse_text(node).lower()
    if not node.tag.endswith(":bool"):
        raise ValueError("true or false is expected here")
    return text in {"true", "yes", "on"}


def parse_texts(node: yaml.Node) -> tuple[str, ...]:
    if is_null(node):
        return ()
    if not isinstance(node, yaml.SequenceNode):
        raise ValueError("a list is expected here")  # noqa: TRY004 - one type for all callers
    return tuple(parse_text(item) for item in node.value)


def parse_version(node: yaml.Node) -> str:
    text = parse_text(node)
    if text in OLD_VERSIONS:
        raise ValueError(f"{text} is broken and not served; use TLS12 or TLS13")
    if text not in VERSIONS:
        raise ValueError(f"unknown TLS version {text!r}; use TLS12 or TLS13")
    return text


def parse_client_auth(node: yaml.Node) -> str:
    text = parse_text(node) or "NoClientCert"
    if text in UNVERIFIED:
        raise ValueError(
            f"{text} takes any certificate without verifying it, which this server cannot do; "
            "use RequireAndVerifyClientCert or VerifyClientCertIfGiven"
        )
    if text not in CLIENT_AUTH_TYPES:
        raise ValueError(f"unknown policy {text!r}; use one of {', '.join(CLIENT_AUTH_TYPES)}")
    return text


def parse_interval(node: yaml.Node) -> float:
    """Seconds; a bare number is refused because the toolkit would take it for nanoseconds."""
    text = parse_text(node)
    if text in {"", "0"}:
        return 0.0
    with suppress(ValueError):
        if not text.isdecimal():
            return parse_duration(text)
    raise ValueError(f"{text!r} is not a duration with a unit; write for example 1s or 200ms")


def parse_burst(node: yaml.Node) -> int:
    text = parse_text(node)
    if not re.fullmatch("[0-9]{1,9}", text):
        raise ValueError("a whole number is expected here")
    return int(text)


def parse_hash(node: yaml.Node) -> bytes:
    match = BCRYPT.match(parse_text(node))
    if match is None:
        raise ValueError("this is not a bcrypt hash; make one with `airflow-exporter hash-password`")
    if not 4 <= int(match[1]) <= HIGHEST_COST:
        raise ValueError(f"a bcrypt cost of {match[1]} cannot be used; 4 to {HIGHEST_COST} can, 10 is usual")
    return match[0].encode()


def parse_header(node: yaml.Node) -> str:
    text = parse_text(node)
    if not text.isascii() or not text.isprintable():
        raise ValueError("a header is one line of plain ASCII")
    return text


def choose_header(*allowed: str) -> Parser:
    """A header that has only a few values."""

    def parse(node: yaml.Node) -> str:
        text = parse_text(node)
        if text not in allowed:
            raise ValueError(f"{text!r} is no value of this header; use {' or '.join(allowed)}")
        return text

    return parse


TLS: Section = {
    "cert": parse_text,
    "key": parse_text,
    "client_ca": parse_text,
    "cert_file": parse_text,
    "key_file": parse_text,
    "client_ca_file": parse_text,
    "client_auth_type": parse_client_auth,
    "client_allowed_sans": parse_texts,
    "min_version": parse_version,
    "max_version": parse_version,
    "cipher_suites": parse_texts,
    "curve_preferences": parse_texts,
    "prefer_server_cipher_suites": parse_flag,
}
HTTP: Section = {"http2": parse_flag, "headers": lambda node: node}
HEADERS: Section = {
    "Content-Security-Policy": parse_header,
    "Strict-Transport-Security": parse_header,
    "X-Content-Type-Options": choose_header("nosniff"),
    "X-Frame-Options": choose_header("deny", "sameorigin"),
    "X-XSS-Protection": parse_header,
}
RATE_LIMIT: Section = {"interval": parse_interval, "burst": parse_burst}
