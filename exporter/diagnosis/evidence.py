"""What is known of a failed try: exceptions, exit code, signal, last lines of its log. It is never kept or shown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RaisedError:
    """One exception of a chain."""

    name: str
    """The name of its type, without the module."""
    module: str = ""
    """The module that defines or raised it, as far as that is known."""
    text: str = ""
    handled: bool = False
    """Whether the one before it was raised while this one was being handled, and does not name it as its cause."""
    origin: str = ""
    """The module that raised it, if that is one of an installed package or of the standard library."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a failed try."""

    chain: Sequence[RaisedError] = ()
    """The exception that ended the try first, then what caused it."""
    exit_code: int | None = None
    """Of the task's process or of the command that it ran; a signal is negative."""
    complaints: str = ""
    """The last lines of the log that are errors."""
    said: str = ""
    """The last lines of the log that are no errors: what a command wrote before it ended."""
    command: str = ""
    """What the log says of the command that was run."""
    output: Sequence[RaisedError] = ()
    """The exceptions that a command wrote, in the order of `chain`."""
    stops: bool = False
    """Whether the log stops amid the work, without the lines with which Airflow ends each log of a try."""
    out_of_memory: bool = False
    """Whether the kernel killed a process of the task for lack of memory: it explains a kill, not an exception."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing speaks of a failure. A log that stops may have its last lines later, whatever it has now."""
        is_known = self.chain or self.exit_code is not None or self.out_of_memory
        return not is_known and (self.stops or not self.complaints)


EXIT_TEXT = re.compile(
    r"exit (?:code|status):?(?: =)? `?(-?\d{1,5})|return(?:ed)? code (-?\d{1,5})|"
    r"exited with (?:code |status )?(-?\d{1,5})|"
    r"(?:exit_?code|StatusCode|error code is)\W{1,4}(-?\d{1,5})|<Signals\.(SIG\w+)|Negsignal\.(SIG\w+)",
    re.IGNORECASE,
)
SIGNALS = {
    "SIGHUP": 1, "SIGINT": 2, "SIGQUIT": 3, "SIGILL": 4, "SIGABRT": 6, "SIGBUS": 7, "SIGFPE": 8, "SIGKILL": 9,
    "SIGUSR1": 10, "SIGSEGV": 11, "SIGPIPE": 13, "SIGALRM": 14, "SIGTERM": 15, "SIGXCPU": 24, "SIGXFSZ": 25,
}  # fmt: skip


def find_exit_code(text: str) -> int | None:
    """The exit code that a text speaks of last, one that is not 0 if there is any; a signal is negative."""
    codes = [code for found in EXIT_TEXT.finditer(text) if (code := _read_code(found)) is not None]
    return next((code for code in reversed(codes) if code), codes[-1] if codes else None)


def _read_code(found: re.Match[str]) -> int | None:
    number = next((group for group in found.groups() if group is not None), "")
    return (
        -SIGNALS[number.upper()] if number.upper() in SIGNALS else int(number) if number.lstrip("-").isdigit() else None
    )
