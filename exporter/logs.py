"""Logging: one line per message in logfmt or JSON; repeated messages are counted, secrets are hidden.

What a reader logs during a poll is also shown on the page `/sources` (`capture`).
"""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from exporter.redaction import hide, redact, redact_foreign

__all__ = ["capture", "configure", "hide", "redact"]

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
"""The values of `--log.level`."""
FORMATS = ("logfmt", "json")
"""The values of `--log.format`."""

PACKAGE = "exporter"
REPEAT_WINDOW = 60.0
"""Seconds for which repetitions of a message are counted instead of logged."""
MAX_WATCHED_MESSAGES = 500
"""Different messages that are watched for repetitions."""
MAX_CAPTURED_LINES = 100
MAX_CAPTURED_LENGTH = 500
MAX_TRACEBACK = 1 << 16
"""Characters of a traceback that are logged."""

STANDARD_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
UNQUOTED_VALUE = re.compile(r"[^\s\"=\\\x00-\x1f\x7f]+\Z")
INVALID_KEY_CHARACTER = re.compile(r"[^A-Za-z0-9_]")

captured = threading.local()


def configure(level: str = "info", form: str = "logfmt", stream: TextIO | None = None) -> None:
    """Send the records of all loggers to the stream (by default stderr); replaces an earlier configuration.

    Raises KeyError for a level that is not in LEVELS.
    """
    chosen = LEVELS[level]
    handler = LogOutput(stream or sys.stderr)
    handler.setFormatter(JSONFormatter() if form == "json" else LogfmtFormatter())
    handler.setLevel(chosen)
    root = logging.getLogger()
    for old in [known for known in root.handlers if isinstance(known, LogOutput)]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(chosen)
    # Debug records are always created, because the page /sources shows them at every log level.
    logging.getLogger(PACKAGE).setLevel(logging.DEBUG)
    # uvicorn's messages on start and stop repeat ours.
    logging.getLogger("uvicorn").setLevel(max(chosen, logging.WARNING) if chosen > logging.DEBUG else chosen)
    logging.captureWarnings(capture=True)
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = log_uncaught


def log_uncaught(arguments: threading.ExceptHookArgs) -> None:
    """Log the exception that ended a thread, in the configured format and without secrets."""
    if arguments.exc_type is SystemExit:
        return
    name = arguments.thread.name if arguments.thread else "unknown"
    error = (arguments.exc_type, arguments.exc_value or arguments.exc_type(), arguments.exc_traceback)
    logging.getLogger(PACKAGE).error("the thread %s ended with an unexpected error", name, exc_info=error)


def get_fields(record: logging.LogRecord) -> dict[str, str]:
    """The fields of a record, in the order of the output."""
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    fields = {
        "ts": f"{seconds}.{int(record.msecs):03d}Z",
        "level": "warn" if record.levelno == logging.WARNING else record.levelname.lower(),
        "logger": record.name.removeprefix(PACKAGE + "."),
        "msg": redact(record.getMessage().strip()),
    }
    return fields | get_extra_fields(record)


def get_extra_fields(record: logging.LogRecord) -> dict[str, str]:
    """The fields passed as `extra`, and the exception."""
    extras = {
        INVALID_KEY_CHARACTER.sub("_", key): redact(format_value(value))
        for key, value in vars(record).items()
        if key not in STANDARD_ATTRIBUTES
    }
    if record.exc_info and record.exc_info[1]:
        error = record.exc_info[1]
        extras["err"] = redact_foreign(f"{type(error).__name__}: {error}")
        extras["trace"] = redact_foreign(logging.Formatter().formatException(record.exc_info), MAX_TRACEBACK)
    return extras


def format_value(value: object) -> str:
    """A field value as text; booleans as true and false."""
    return str(value).lower() if isinstance(value, bool) else str(value)


class LogfmtFormatter(logging.Formatter):
    """`ts=… level=info logger=… msg="…" key=value`: easy to read and search."""

    def format(self, record: logging.LogRecord) -> str:
        return " ".join(f"{key}={quote_value(value)}" for key, value in get_fields(record).items())


class JSONFormatter(logging.Formatter):
    """One JSON object per line; all values are text."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(get_fields(record), ensure_ascii=False)


def quote_value(value: str) -> str:
    """A logfmt value: quoted unless it is unambiguous without quotes."""
    return value if UNQUOTED_VALUE.match(value) else json.dumps(value, ensure_ascii=False)


class RepeatedMessage:
    """A message that was logged, and how often it was repeated since then. Times are monotonic seconds."""

    __slots__ = ("count", "last", "since")

    def __init__(self, last: logging.LogRecord, since: float) -> None:
        self.last = last
        self.since = since
        self.count = 0


class LogOutput(logging.StreamHandler[TextIO]):
    """Writes records; repetitions within REPEAT_WINDOW are counted and then logged as one line."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(stream)
        self._clock = clock
        self._seen: dict[tuple[object, ...], RepeatedMessage] = {}

    def emit(self, record: logging.LogRecord) -> None:
        now = self._clock()
        self._flush_expired(now)
        if record.levelno <= logging.DEBUG or not self._is_repeated(record, now):
            super().emit(record)

    def close(self) -> None:
        """Log the counts of repetitions, then close."""
        self.acquire()
        try:
            self._flush_expired(float("inf"))
        finally:
            self.release()
        super().close()

    def _is_repeated(self, record: logging.LogRecord, now: float) -> bool:
        extras = tuple((key, str(value)) for key, value in vars(record).items() if key not in STANDARD_ATTRIBUTES)
        key = (record.name, record.levelno, record.getMessage(), extras)
        known = self._seen.get(key)
        if known is None:
            self._seen[key] = RepeatedMessage(record, now)
            return False
        known.count += 1
        known.last = record
        return True

    def _flush_expired(self, now: float) -> None:
        """Drop the oldest messages and log how often they were repeated."""
        while self._seen:
            key, oldest = next(iter(self._seen.items()))
            if now - oldest.since < REPEAT_WINDOW and len(self._seen) < MAX_WATCHED_MESSAGES:
                return
            del self._seen[key]
            if oldest.count:
                super().emit(build_summary(oldest))


def build_summary(repetition: RepeatedMessage) -> logging.LogRecord:
    """The last of the repeated records, with the number of repetitions in the field `repeated`."""
    fields = vars(repetition.last) | {"repeated": repetition.count}
    return logging.makeLogRecord(fields)


class CaptureHandler(logging.Handler):
    """Collects the records of each thread that uses `capture`."""

    def emit(self, record: logging.LogRecord) -> None:
        lines: list[str] | None = getattr(captured, "lines", None)
        if lines is None or len(lines) > MAX_CAPTURED_LINES:
            return
        lines.append(format_short(record) if len(lines) < MAX_CAPTURED_LINES else "… further lines are not kept")


def format_short(record: logging.LogRecord) -> str:
    """A record as the page /sources shows it: time of day in UTC, level, message, fields."""
    fields = get_fields(record)
    moment, level, _, message = (fields.pop(key) for key in ("ts", "level", "logger", "msg"))
    fields.pop("trace", None)
    rest = "".join(f" {key}={quote_value(value)}" for key, value in fields.items())
    return f"{moment[11:-1]} {level} {message}{rest}"[:MAX_CAPTURED_LENGTH]


capture_handler = CaptureHandler()


@contextmanager
def capture() -> Iterator[list[str]]:
    """Collect what this thread logs until the block ends; of the exporter's loggers also debug messages."""
    logging.getLogger().addHandler(capture_handler)  # no effect if it is there already
    outer: list[str] | None = getattr(captured, "lines", None)
    lines: list[str] = []
    captured.lines = lines
    try:
        yield lines
    finally:
        captured.lines = outer
