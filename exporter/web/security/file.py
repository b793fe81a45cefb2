"""Reads the web configuration file of Prometheus' exporter-toolkit: TLS, headers, users, rate limit.

All errors are reported at once, each with its line. A setting that this server does not support is an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from exporter.web.security.settings import RateLimit, WebConfig, WebConfigError
from exporter.web.security.tls import TLSSettings, build_context
from exporter.web.security.values import (
    HEADER_KEYS,
    HTTP_KEYS,
    RATE_LIMIT_KEYS,
    TLS_KEYS,
    Parser,
    Section,
    is_null,
    parse_bcrypt_hash,
)

SECTIONS = ("tls_server_config", "http_server_config", "basic_auth_users", "rate_limit")
FILES = ("cert_file", "key_file", "client_ca_file")


class WebConfigDocument:
    """A YAML file; its problems are collected, each with line and column."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._places: dict[str, yaml.Mark] = {}
        self._problems: list[tuple[int, str]] = []
        self._unusable: set[str] = set()

    @property
    def problems(self) -> tuple[str, ...]:
        """One line per problem, in the order of the file."""
        return tuple(text for _, text in sorted(self._problems, key=lambda problem: problem[0]))

    def report(self, key: str, message: str) -> None:
        """Add a problem at the line of a key, or of the section in which the key is missing.

        Only the first problem of a key is kept if its value is invalid: others would only follow from it.
        """
        if key in self._unusable:
            return
        mark = self._places.get(key) or self._places.get(key.rpartition(".")[0])
        self._note(mark, f"{key}: {message}")

    def read_root(self) -> yaml.Node | None:
        """The root node of the file; None if it is empty or invalid."""
        try:
            root: yaml.Node | None = yaml.compose(self.path.read_text("utf-8"), yaml.SafeLoader)
        except OSError as error:
            self._note(None, f"the file cannot be read: {error.strerror}")
        except UnicodeDecodeError:
            self._note(None, "the file is not UTF-8 text")
        except yaml.MarkedYAMLError as error:
            self._note(error.problem_mark, f"this is not YAML: {error.problem}")
        except yaml.YAMLError:
            self._note(None, "this is not YAML: it has characters that YAML does not allow")
        except RecursionError:
            self._note(None, "this is nested too deeply")
        else:
            return root
        return None

    def read_entries(self, key: str, node: yaml.Node | None) -> Iterator[tuple[str, yaml.Node]]:
        """Yield the keys of a mapping, as `section.key`, with their values; a key given twice is a problem."""
        if node is None or is_null(node):
            return
        if not isinstance(node, yaml.MappingNode):
            self._note(node.start_mark, f"{key + ': ' if key else ''}expected keys with values")
            return
        for name_node, value in node.value:
            full = f"{key}.{name_node.value}" if key else str(name_node.value)
            if full in self._places:
                self._note(name_node.start_mark, f"{full}: given twice; keep one")
                continue
            self._places[full] = name_node.start_mark
            yield full, value

    def read_section(self, key: str, node: yaml.Node | None, fields: Section) -> dict[str, Any]:
        """The values of a section by key; unknown keys and invalid values are reported and left out."""
        values = {}
        for full, value in self.read_entries(key, node):
            name = full.removeprefix(f"{key}.")
            if name not in fields:
                self.report(full, "unknown key" + format_suggestion(name, fields))
            else:
                values[name] = self.parse_value(full, value, fields[name])
        return {name: value for name, value in values.items() if value is not None}

    def parse_value(self, key: str, node: yaml.Node, parser: Parser) -> Any:  # noqa: ANN401 - the type depends on the parser
        """One value; None, with a problem reported, if it is invalid."""
        try:
            return parser(node)
        except ValueError as error:
            self.report(key, str(error))
            self._unusable.add(key)
            return None

    def has_key(self, key: str) -> bool:
        """Whether the key is in the file, with any value."""
        return key in self._places

    def _note(self, mark: yaml.Mark | None, message: str) -> None:
        line = mark.line + 1 if mark else 0
        place = f":{line}:{mark.column + 1}" if mark else ""
        self._problems.append((line, f"{self.path}{place}: {message}"))


def format_suggestion(name: str, known: Iterable[str]) -> str:
    """The known name that was probably meant, as the end of a sentence; empty if none is close."""
    close = get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def load_web_config(path: Path) -> WebConfig:
    """Read the file and the certificates that it names. Raises WebConfigError with all problems."""
    document = WebConfigDocument(path)
    nodes = dict(document.read_entries("", document.read_root()))
    for unknown in nodes.keys() - set(SECTIONS):
        document.report(unknown, "unknown section" + format_suggestion(unknown, SECTIONS))
    tls = read_tls(document, nodes.get("tls_server_config"))
    http = document.read_section("http_server_config", nodes.get("http_server_config"), HTTP_KEYS)
    config = WebConfig(
        tls=tls,
        ssl_context=build_context(tls, partial(report_tls, document)) if tls else None,
        http2=http.get("http2", False),
        headers=document.read_section("http_server_config.headers", http.get("headers"), HEADER_KEYS),
        users=dict(read_users(document, nodes.get("basic_auth_users"))),
        rate_limit=read_rate_limit(document, nodes.get("rate_limit")),
    )
    if document.problems:
        raise WebConfigError(document.problems, config.files)
    return config


def read_tls(document: WebConfigDocument, node: yaml.Node | None) -> TLSSettings | None:
    """The TLS settings; file names are relative to the folder of the configuration file."""
    values = document.read_section("tls_server_config", node, TLS_KEYS)
    for name in FILES:
        if written := values.pop(name, ""):
            values[name] = document.path.parent / written
    if document.has_key("tls_server_config.client_auth_type"):
        # If its value is invalid, client_ca_file must not be reported as unused too.
        values.setdefault("client_auth_type", "RequireAndVerifyClientCert")
    return TLSSettings(**values) if has_keys(node) else None


def has_keys(node: yaml.Node | None) -> bool:
    """Whether the node is a mapping that is not empty."""
    return isinstance(node, yaml.MappingNode) and bool(node.value)


def report_tls(document: WebConfigDocument, name: str, message: str) -> None:
    """Report a problem of a key of `tls_server_config`."""
    document.report(f"tls_server_config.{name}", message)


def read_users(document: WebConfigDocument, node: yaml.Node | None) -> Iterator[tuple[bytes, bytes]]:
    """Yield each user name with its bcrypt hash."""
    for full, value in document.read_entries("basic_auth_users", node):
        name = full.removeprefix("basic_auth_users.")
        if ":" in name:
            document.report(full, "a user name cannot contain a colon")
        hashed = document.parse_value(full, value, parse_bcrypt_hash)
        if hashed is not None:
            yield name.encode(), hashed


def read_rate_limit(document: WebConfigDocument, node: yaml.Node | None) -> RateLimit | None:
    """The rate limit; None if it is off."""
    values = document.read_section("rate_limit", node, RATE_LIMIT_KEYS)
    if not values.get("interval"):
        return None
    if not values.get("burst"):
        document.report("rate_limit.burst", "must be at least 1, otherwise every request is refused")
    return RateLimit(values["interval"], values.get("burst", 0))
