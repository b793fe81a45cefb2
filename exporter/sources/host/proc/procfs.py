"""What the files under /proc/PID say: pure functions of their contents, and one that reads them.

Units are the kernel's: CPU in clock ticks, memory in pages where a file has pages, else bytes.
"""

from __future__ import annotations

import math
import os
from typing import NamedTuple

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
"""Clock ticks in a second of CPU time."""
PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")
"""Bytes of a page."""
STATUS_FIELDS = (b"\nVmHWM:", b"\nRssAnon:", b"\nvoluntary_ctxt_switches:", b"\nnonvoluntary_ctxt_switches:")
"""What is taken from /proc/PID/status."""
MAX_FILE_BYTES = 65_536
"""Bytes of a file that are read at most: no file of one process is larger, but for a long command line."""
KNOWN_LIMITS: dict[float, float] = {}
"""Limits of open files that were met, each of them once for all processes that have it."""
MAX_NUMBER_WIDTH = 32
"""Bytes in which a number stands behind its name."""
KIBIBYTE = 1024


class UnreadableError(Exception):
    """A file could not be read; `reason` is one of REASONS, or GONE. The message is the kernel's where it gave one."""

    def __init__(self, reason: str, message: str = "") -> None:
        super().__init__(message or reason)
        self.reason = reason


class MalformedError(ValueError):
    """A file says something that no kernel writes."""


DEAD_STATES = ("Z", "X")
"""States of a process that has ended and was not yet waited for."""
GONE = "gone"
"""The process has ended, or the file never was."""
REASONS = ("permission", "missing", "malformed", "failed")
"""Why a file that ought to be there tells nothing: the closed set of the label `reason`."""


class Stat(NamedTuple):
    """/proc/PID/stat."""

    pid: int
    comm: bytes
    state: str
    ppid: int
    faults: int
    """Page faults: they grow when a process does anything with memory."""
    own_ticks: int
    """Ticks, user and system."""
    children_ticks: int
    """Ticks, of all descendants that were waited for."""
    threads: int
    start: int
    """Ticks after the machine's start; with the pid it names a process for good."""
    rss: int
    """Pages."""


class Status(NamedTuple):
    """The parts of /proc/PID/status that are used; bytes, absent ones 0."""

    peak: int
    """The largest resident memory that the process ever had."""
    anonymous: int
    """Resident memory that no file backs."""
    switches: int
    """Context switches of the main thread."""


class Io(NamedTuple):
    """/proc/PID/io: bytes that went to or came from disks, with those of children that were waited for."""

    read_bytes: int
    written_bytes: int


class Traffic(NamedTuple):
    """Bytes that a network interface, or several, received and sent."""

    received: int
    sent: int


def read_file(path: str, size: int = MAX_FILE_BYTES) -> bytes:
    """The first bytes of a file. Raises UnreadableError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(descriptor, size)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise convert_error(error) from error


def convert_error(error: OSError) -> UnreadableError:
    """What to raise where the kernel refused to open, read or list a file."""
    return UnreadableError(get_reason(error), error.strerror or "")


def get_reason(error: OSError) -> str:
    """Why a file cannot be read."""
    if isinstance(error, PermissionError):
        return "permission"
    if isinstance(error, (FileNotFoundError, NotADirectoryError, IsADirectoryError, ProcessLookupError)):
        return GONE
    # Too many open files, for one: what is there must not be taken for gone.
    return "failed"


def parse_stat(text: bytes) -> Stat:
    """The command between the brackets may hold anything, brackets too. Raises MalformedError."""
    opening, closing = text.find(b"("), text.rfind(b")")
    fields = text[closing + 2 :].split(None, 22)
    try:
        return Stat(
            int(text[:opening]),
            text[opening + 1 : closing],
            fields[0].decode("ascii"),
            int(fields[1]),
            int(fields[7]) + int(fields[9]),
            int(fields[11]) + int(fields[12]),
            int(fields[13]) + int(fields[14]),
            int(fields[17]),
            int(fields[19]),
            int(fields[21]),
        )
    except (IndexError, ValueError) as error:
        raise MalformedError("stat") from error


def parse_status(text: bytes) -> Status:
    """A zombie has no memory any more. Raises MalformedError."""
    try:
        peak, anonymous, waits, turns = (parse_number(text, name) for name in STATUS_FIELDS)
        return Status(peak * KIBIBYTE, anonymous * KIBIBYTE, waits + turns)
    except (IndexError, ValueError) as error:
        raise MalformedError("status") from error


def parse_open_limit(text: bytes) -> float:
    """How many files a process may have open, from limits: the soft limit, infinite where there is none.

    Raises MalformedError.
    """
    place = text.find(b"Max open files")
    try:
        word = text[place + 14 : place + 60].split(None, 1)[0] if place >= 0 else raise_malformed("limits")
        limit = math.inf if word == b"unlimited" else int(word)
    except (IndexError, ValueError) as error:
        raise MalformedError("limits") from error
    # Nearly all processes have the same.
    return KNOWN_LIMITS.setdefault(limit, limit)


def parse_io(text: bytes) -> Io:
    """Raises MalformedError."""
    try:
        return Io(parse_number(text, b"\nread_bytes:", None), parse_number(text, b"\nwrite_bytes:", None))
    except (IndexError, ValueError) as error:
        raise MalformedError("io") from error


def parse_pss(text: bytes) -> int:
    """Proportional memory in bytes, from smaps_rollup. Raises MalformedError."""
    try:
        return parse_number(text, b"\nPss:", None) * KIBIBYTE
    except (IndexError, ValueError) as error:
        raise MalformedError("smaps_rollup") from error


def parse_traffic(text: bytes) -> dict[str, Traffic]:
    """Traffic by interface, from net/dev. Raises MalformedError."""
    found = {}
    for line in text.splitlines()[2:]:
        name, _, rest = line.partition(b":")
        fields = rest.split()
        try:
            found[name.strip().decode("ascii", "replace")] = Traffic(int(fields[0]), int(fields[8]))
        except (IndexError, ValueError) as error:
            raise MalformedError("net/dev") from error
    return found


def parse_pids(names: list[str]) -> list[int]:
    """The processes among the entries of /proc, ascending."""
    return sorted(map(int, filter(str.isdecimal, names)))


def parse_fields(text: bytes, separator: bytes) -> dict[bytes, bytes]:
    """`name: value` lines; others are left out."""
    pairs = (line.partition(separator) for line in text.splitlines())
    return {name.strip(): value.strip() for name, mark, value in pairs if mark}


def parse_number(text: bytes, mark: bytes, absent: int | None = 0) -> int:
    """The number, without its unit, that stands behind a mark in one of the lines after the first.

    Raises IndexError or ValueError where there is none, or where the mark is not there and `absent` says nothing.
    """
    place = text.find(mark)
    if place < 0:
        return absent if absent is not None else raise_malformed(mark.decode())
    start = place + len(mark)
    return int(text[start : start + MAX_NUMBER_WIDTH].split(None, 1)[0])


def raise_malformed(what: str) -> int:
    raise MalformedError(what)
