"""What the supervisor knows of each source and its last cycles, as the web pages and telemetry show it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cycle:
    """One read of one reader: `outcome` is "ok" or one of reading.REASONS, `lines` what it logged."""

    reader: str
    started: float
    """Unix seconds."""
    duration: float
    """Seconds."""
    outcome: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReaderStatus:
    """How one reader fares. Times are Unix seconds; `interval` is what is wanted, `pause` what load allows."""

    name: str
    help: str
    interval: float
    pause: float
    last_attempt: float | None = None
    last_success: float | None = None
    outcome: str = ""
    """"ok", one of reading.REASONS, or empty before the first attempt."""
    message: str = ""
    """What the last failure said, or what is said of some of the objects that are passed over."""
    duration: float = 0.0
    unanswered: int = 0
    """How many objects the newest successful read passed over because Airflow answered each with an error."""


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """How one source fares; `detail` names what it is connected to, without secrets."""

    name: str
    up: bool
    attempted: bool
    detail: str = ""
    readers: tuple[ReaderStatus, ...] = ()
    cycles: tuple[Cycle, ...] = ()
    """The newest first, at most 20 of each reader."""
