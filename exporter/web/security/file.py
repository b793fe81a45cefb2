"""The web configuration file of Prometheus' exporter-toolkit: TLS, headers, users, rate limit.

Every error is reported at once, with its line. What this server cannot do is an error, never ignored.
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
from exporter.web.security.values import HEADERS, HTTP, RATE_LIMIT, TLS, Parser, Section, is_null, parse_hash

SECTIONS = ("tls_server_config", "http_server_config", "basic_auth_users", "rate_limit")
FILES = ("cert_file", "key_file", "client_ca_file")


class Document:
    """A YAML file whose problems are collected, each with its place."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._places: dict[str, yaml.Mark] = {}
        self._problems: list[tuple[int, str]] = []
        self._unread: set[str] = set()

    @property
    def problems(self) -> tuple[str, ...]:
        """One line for each, in the order of the file."""
        return tuple(text for _, text in sorted(self._problems, key=lambda problem: problem[0]))

    def report(self, key: str, message: str) -> None:
        """Note a problem at the place of a key, or of the section that lacks it.

        Nothing more is said of a key whose value could not be read: it would follow from that.
        """
        if key in self._unread:
            return
        mark = self._places.get(key) or self._places.get(key.rpartition(".")[0])
        self._note(mark, f"{key}: {message}")

    def read(self) -> yaml.Node | None:
        """The root of the document; None if it is empty or cannot be read."""
        try:
            root: yaml.Node | None = yaml.compose(self.path.read_text("utf-8"), yaml.SafeLoader)
        except OSError as error:
            self._note(None, f"the file cannot be read: {error.strerror}")
        except UnicodeDecodeError:
            self._note(None, "the file is not UTF-8 text")
        except yaml.MarkedYAMLError as error:
            self._note(error.problem_mark, f"this is not YAML: {error.problem}")
        except yaml.YAMLError:
            self._note(None, "this is not YAML: it has characters that may not be there")
        except RecursionError:
            self._note(None, "this is nested too deeply")
        else:
            return root
        return None

    def entries(self, key: str, node: yaml.Node | None) -> Iterator[tuple[str, yaml.Node]]:
        """The entries of a mapping, each with its full key; a key given twice is a problem."""
        if node is None or is_null(node):
            return
        if not isinstance(node, yaml.MappingNode):
            self._note(node.start_mark, f"{key + ': ' if key else ''}keys with values are expected here")
            return
        for name_node, value in node.value:
            full = f"{key}.{name_node.value}" if key else str(name_node.value)
            if full in self._places:
                self._note(name_node.start_mark, f"{full}: is given twice")
                continue
            self._places[full] = name_node.start_mark
            yield full, value

    def section(self, key: str, node: yaml.Node | None, fields: Section) -> dict[str, Any]:
        """The values of a section whose keys are known; those that cannot be used are left out."""
        values = {}
        for full, value in self.entries(key, node):
            name = full.removeprefix(f"{key}.")
            if name not in fields:
                self.report(full, "unknown key" + suggest(name, fields))
            else:
                values[name] = self.parse(full, value, fields[name])
        return {name: value for name, value in values.items() if value is not None}

    def parse(self, key: str, node: yaml.Node, parser: Parser) -> Any:  # noqa: ANN401 - whatever the parser gives
        """One value; None, and reported, if it cannot be used."""
        try:
            return parser(node)
        except ValueError as error:
            self.report(key, str(error))
            self._unread.add(key)
            return None

    def has(self, key: str) -> bool:
        """Whether the key is there, with whatever value."""
        return key in self._places

    def _note(self, mark: yaml.Mark | None, message: str) -> None:
        line = mark.line + 1 if mark else 0
        place = f":{line}:{mark.column + 1}" if mark else ""
        self._problems.append((line, f"{self.path}{place}: {message}"))


def suggest(name: str, known: Iterable[str]) -> str:
    """The known name that was probably meant."""
    close = get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def load(path: Path) -> WebConfig:
    """Read the file and the certificates that it names. Raises WebConfigError with every problem."""
    document = Document(path)
    nodes = dict(document.entries("", document.read()))
    for unknown in nodes.keys() - set(SECTIONS):
        document.report(unknown, "unknown section" + suggest(unknown, SECTIONS))
    tls = read_tls(document, nodes.get("tls_server_config"))
    http = document.section("http_server_config", nodes.get("http_server_config"), HTTP)
    config = WebConfig(
        tls=tls,
        context=build_context(tls, partial(report_tls, document)) if tls else None,
        http2=http.get("http2", False),
        headers=document.section("http_server_config.headers", http.get("headers"), HEADERS),
        users=dict(read_users(document, nodes.get("basic_auth_users"))),
        rate_limit=read_rate_limit(document, nodes.get("rate_limit")),
    )
    if document.problems:
        raise WebConfigError(document.problems, config.files)
    return config


def read_tls(document: Document, node: yaml.Node | None) -> TLSSettings | None:
    """The TLS settings, their files relative to the configuration's folder."""
    values = document.section("tls_server_config", node, TLS)
    for name in FILES:
        if written := values.pop(name, ""):
            values[name] = document.path.parent / written
    if document.has("tls_server_config.client_auth_type"):
        # A policy that cannot be used must not make the authorities look superfluous.
        values.setdefault("client_auth_type", "RequireAndVerifyClientCert")
    return TLSSettings(**values) if is_filled(node) else None


def is_filled(node: yaml.Node | None) -> bool:
    return isinstance(node, yaml.MappingNode) and bool(node.value)


def report_tls(document: Document, name: str, message: str) -> None:
    document.report(f"tls_server_config.{name}", message)


def read_users(document: Document, node: yaml.Node | None) -> Iterator[tuple[bytes, bytes]]:
    """Yield each name with its hash."""
    for full, value in document.entries("basic_auth_users", node):
        name = full.removeprefix("basic_auth_users.")
        if ":" in name:
            document.report(full, "a user name cannot contain a colon")
        hashed = document.parse(full, value, parse_hash)
        if hashed is not None:
            yield name.encode(), hashed


def read_rate_limit(document: Document, node: yaml.Node | None) -> RateLimit | None:
    values = document.section("rate_limit", node, RATE_LIMIT)
    if not values.get("interval"):
        return None
    if not values.get("burst"):
        document.report("rate_limit.burst", "at least 1 is needed, or every request would be refused")
    return RateLimit(values["interval"], values.get("burst", 0))
