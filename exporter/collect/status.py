"""The status of sources and readers, for the web pages and the exporter's own metrics."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReadCycle:
    """One read: `outcome` is "ok" or one of reading.REASONS, `lines` are its log lines."""

    reader: str
    started: float
    """Unix seconds."""
    duration: float
    """Seconds."""
    outcome: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReaderStatus:
    """The status of a reader. Times are Unix seconds. `interval` is configured, `pause` is the actual interval."""

    name: str
    help: str
    interval: float
    pause: float
    last_attempt: float | None = None
    last_success: float | None = None
    outcome: str = ""
    """"ok", one of reading.REASONS, or empty before the first attempt."""
    message: str = ""
    """The error of the last failure, or the errors of some skipped objects."""
    duration: float = 0.0
    unanswered: int = 0
    """The number of objects that the last successful read skipped, because Airflow returned an error for each."""


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """The status of a source; `detail` says what it is connected to, without secrets."""

    name: str
    up: bool
    attempted: bool
    detail: str = ""
    readers: tuple[ReaderStatus, ...] = ()
    cycles: tuple[ReadCycle, ...] = ()
    """The newest first, at most 20 of each reader."""
