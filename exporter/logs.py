"""Logging: one line a message, as logfmt or JSON, with repetitions counted and secrets hidden.

What a reader logs while it reads is also shown on the page of its last cycles (`capture`).
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

OURS = "exporter"
WINDOW = 60.0
"""For how many seconds a repetition of a message is counted instead of shown."""
REMEMBERED = 500
"""How many different messages are watched for repetitions."""
CAPTURED_LINES = 100
CAPTURED_LENGTH = 500

HIDDEN = "***"
SHORTEST_SECRET = 8
"""A shorter secret is not searched for: hiding every "a", or every "airflow", would leave no log to read."""
MOST_SECRETS = 100
"""How many secrets are searched for; those of long ago are forgotten first."""
SECRETS = (
    re.compile(r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"),
    re.compile(r"(?i)(?<=\bbearer )[\w.~+/=-]{16,}"),
    re.compile(r"(?i)(?<=authorization: basic )[\w+/=-]+"),
    re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"),
    re.compile(r"""(?i)(?<=password=)[^\s&,;'"]+"""),
)
"""What looks like a secret wherever it comes from: URL credentials, tokens, form fields."""

STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
BARE = re.compile(r"[^\s\"=\\\x00-\x1f\x7f]+\Z")
KEY = re.compile(r"[^A-Za-z0-9_]")

known_secrets: dict[str, None] = {}
captured = threading.local()


def hide(secret: str) -> None:
    """Never show this text in a log line from now on."""
    if len(secret) >= SHORTEST_SECRET:
        known_secrets.pop(secret, None)
        known_secrets[secret] = None
        while len(known_secrets) > MOST_SECRETS:
            # Any thread may do this: what was the oldest a moment ago may be gone.
            known_secrets.pop(next(iter(tuple(known_secrets))), None)


def redact(text: str) -> str:
    """The text without known secrets and without what looks like one."""
    for secret in sorted(known_secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    for pattern in SECRETS:
        text = pattern.sub(HIDDEN, text)
    return text


def configure(level: str = "info", form: str = "logfmt", stream: TextIO | None = None) -> None:
    """Send every logger's records to the stream (stderr), replacing an earlier set-up.

    Raises KeyError for a level that is not in LEVELS.
    """
    chosen = LEVELS[level]
    handler = Output(stream or sys.stderr)
    handler.setFormatter(JSONFormatter() if form == "json" else LogfmtFormatter())
    handler.setLevel(chosen)
    root = logging.getLogger()
    for old in [known for known in root.handlers if isinstance(known, Output)]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(chosen)
    # Ours are always made, so that a cycle's page has its debug lines whatever the log shows.
    logging.getLogger(OURS).setLevel(logging.DEBUG)
    # The server's own remarks on starting and stopping repeat ours.
    logging.getLogger("uvicorn").setLevel(max(chosen, logging.WARNING) if chosen > logging.DEBUG else chosen)
    logging.captureWarnings(capture=True)


def read_fields(record: logging.LogRecord) -> dict[str, str]:
    """What a record says, in the order in which it is shown."""
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    fields = {
        "ts": f"{seconds}.{int(record.msecs):03d}Z",
        "level": "warn" if record.levelno == logging.WARNING else record.levelname.lower(),
        "logger": record.name.removeprefix(OURS + "."),
        "msg": redact(record.getMessage().strip()),
    }
    return fields | read_extras(record)


def read_extras(record: logging.LogRecord) -> dict[str, str]:
    """The fields given as `extra`, and the exception."""
    extras = {KEY.sub("_", key): redact(tell(value)) for key, value in vars(record).items() if key not in STANDARD}
    if record.exc_info and record.exc_info[1]:
        error = record.exc_info[1]
        extras["err"] = redact(f"{type(error).__name__}: {error}")
        extras["trace"] = redact(logging.Formatter().formatException(record.exc_info))
    return extras


def tell(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class LogfmtFormatter(logging.Formatter):
    """`ts=… level=info logger=… msg="…" key=value`: easy to read and to search."""

    def format(self, record: logging.LogRecord) -> str:
        return " ".join(f"{key}={quote(value)}" for key, value in read_fields(record).items())


class JSONFormatter(logging.Formatter):
    """One JSON object a line, all values text."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(read_fields(record), ensure_ascii=False)


def quote(value: str) -> str:
    """A logfmt value: bare where that is unambiguous, else quoted on one line."""
    return value if BARE.match(value) else json.dumps(value, ensure_ascii=False)


class Repetition:
    """A message that was shown, and how often it came again since; times are monotonic seconds."""

    __slots__ = ("count", "last", "since")

    def __init__(self, last: logging.LogRecord, since: float) -> None:
        self.last = last
        self.since = since
        self.count = 0


class Output(logging.StreamHandler[TextIO]):
    """Writes records; the same message again within WINDOW is counted, then summed up in one line."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(stream)
        self._clock = clock
        self._seen: dict[tuple[object, ...], Repetition] = {}

    def emit(self, record: logging.LogRecord) -> None:
        now = self._clock()
        self._settle(now)
        if record.levelno <= logging.DEBUG or not self._repeats(record, now):
            super().emit(record)

    def close(self) -> None:
        """Sum up what is still being counted."""
        self.acquire()
        try:
            self._settle(float("inf"))
        finally:
            self.release()
        super().close()

    def _repeats(self, record: logging.LogRecord, now: float) -> bool:
        extras = tuple((key, str(value)) for key, value in vars(record).items() if key not in STANDARD)
        key = (record.name, record.levelno, record.getMessage(), extras)
        known = self._seen.get(key)
        if known is None:
            self._seen[key] = Repetition(record, now)
            return False
        known.count += 1
        known.last = record
        return True

    def _settle(self, now: float) -> None:
        """Forget the oldest messages, which come first, and say how often they came again."""
        while self._seen:
            key, oldest = next(iter(self._seen.items()))
            if now - oldest.since < WINDOW and len(self._seen) < REMEMBERED:
                return
            del self._seen[key]
            if oldest.count:
                super().emit(sum_up(oldest))


def sum_up(repetition: Repetition) -> logging.LogRecord:
    """The last of the repeated records, saying how many are not shown."""
    fields = vars(repetition.last) | {"repeated": repetition.count}
    return logging.makeLogRecord(fields)


class Recorder(logging.Handler):
    """Gives each thread that captures its own records, in short."""

    def emit(self, record: logging.LogRecord) -> None:
        lines: list[str] | None = getattr(captured, "lines", None)
        if lines is None or len(lines) > CAPTURED_LINES:
            return
        lines.append(shorten(record) if len(lines) < CAPTURED_LINES else "… more lines are not kept")


def shorten(record: logging.LogRecord) -> str:
    """A record as the page of last cycles shows it: time of day in UTC, level, message, fields."""
    fields = read_fields(record)
    moment, level, _, message = (fields.pop(key) for key in ("ts", "level", "logger", "msg"))
    fields.pop("trace", None)
    rest = "".join(f" {key}={quote(value)}" for key, value in fields.items())
    return f"{moment[11:-1]} {level} {message}{rest}"[:CAPTURED_LENGTH]


recorder = Recorder()


@contextmanager
def capture() -> Iterator[list[str]]:
    """Collect what this thread logs, down to debug for our own loggers, until the block ends."""
    logging.getLogger().addHandler(recorder)  # does nothing where it is there already
    outer: list[str] | None = getattr(captured, "lines", None)
    lines: list[str] = []
    captured.lines = lines
    try:
        yield lines
    finally:
        captured.lines = outer
