"""Settings of the web configuration file: TLS, users, headers and rate limit. `file` reads them."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from exporter.web.security.tls import TLSSettings


class WebConfigError(ValueError):
    """The file cannot be used: `problems` has one line per problem, `files` the files that it names."""

    def __init__(self, problems: tuple[str, ...], files: frozenset[Path]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
        self.files = files


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `burst` requests at once, then one more every `interval` seconds."""

    interval: float
    burst: int


@dataclass(frozen=True, slots=True)
class WebConfig:
    """The content of the file; what it leaves out is off. `users` maps names to bcrypt hashes."""

    tls: TLSSettings | None = None
    ssl_context: ssl.SSLContext | None = None
    http2: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    users: Mapping[bytes, bytes] = field(default_factory=dict, repr=False)
    rate_limit: RateLimit | None = None

    @property
    def files(self) -> frozenset[Path]:
        """Certificate and key files that the configuration names."""
        return self.tls.files if self.tls else frozenset()
