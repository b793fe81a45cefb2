"""What a web configuration file may ask for: what is in force, without what reads the file."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from exporter.web.security.tls import TLSSettings


class WebConfigError(ValueError):
    """The file cannot be used: `problems` has a line for each thing that is wrong, `files` what it names."""

    def __init__(self, problems: tuple[str, ...], files: frozenset[Path]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
        self.files = files


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `burst` requests at once, and one more each `interval` seconds."""

    interval: float
    burst: int


@dataclass(frozen=True, slots=True)
class WebConfig:
    """What the file says; a protection that it leaves out is off. `users` are names and bcrypt hashes."""

    tls: TLSSettings | None = None
    context: ssl.SSLContext | None = None
    http2: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    users: Mapping[bytes, bytes] = field(default_factory=dict, repr=False)
    rate_limit: RateLimit | None = None

    @property
    def files(self) -> frozenset[Path]:
        """The files that are read beside the configuration."""
        return self.tls.files if self.tls else frozenset()
