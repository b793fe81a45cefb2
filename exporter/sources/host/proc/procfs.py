"""Parsers of the files under /proc/PID, as pure functions, and the function that reads them.

Units are the kernel's: CPU in clock ticks, memory in pages where a file has pages, else bytes.
"""

from __future__ import annotations

import math
import os
from typing import NamedTuple

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
"""Clock ticks per second of CPU time."""
PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")
"""Bytes per page."""
STATUS_FIELDS = (b"\nVmHWM:", b"\nRssAnon:", b"\nvoluntary_ctxt_switches:", b"\nnonvoluntary_ctxt_switches:")
"""Fields that are read from /proc/PID/status."""
MAX_FILE_BYTES = 65_536
"""Maximum bytes read of a file in one call. Only a long command line is larger."""
MAX_LIST_BYTES = 16 * MAX_FILE_BYTES
"""Maximum bytes read of files that have one line per interface, mount or counter."""
KNOWN_LIMITS: dict[float, float] = {}
"""Limits of open files, shared by all processes that have them."""
MAX_NUMBER_WIDTH = 32
"""Maximum bytes between the name of a field and the end of its number."""
KIBIBYTE = 1024


class UnreadableError(Exception):
    """A file is not readable. `reason` is one of REASONS, or GONE. The message is the kernel's, if it gave one."""

    def __init__(self, reason: str, message: str = "") -> None:
        super().__init__(message or reason)
        self.reason = reason


class MalformedError(ValueError):
    """A file has contents that no kernel writes."""


DEAD_STATES = ("Z", "X")
"""States of a process that has ended and whose parent has not waited for it yet."""
GONE = "gone"
"""The process has ended, or the file does not exist."""
REASONS = ("permission", "missing", "malformed", "failed")
"""Why a file is not readable: the values of the label `reason`."""


class Stat(NamedTuple):
    """/proc/PID/stat."""

    pid: int
    comm: bytes
    state: str
    ppid: int
    faults: int
    """Page faults. They grow whenever a process does anything with memory."""
    own_ticks: int
    """CPU of the process, user and system, in ticks."""
    children_ticks: int
    """CPU of exited children that it waited for, and of theirs, in ticks."""
    threads: int
    start: int
    """Start time in ticks after boot. With the pid it identifies a process."""
    rss: int
    """Pages."""


class Status(NamedTuple):
    """The fields of /proc/PID/status that are used; absent ones are 0."""

    peak: int
    """Highest resident memory so far, in bytes."""
    anonymous: int
    """Resident memory that is not backed by a file, in bytes."""
    switches: int
    """Context switches of the main thread."""


class Io(NamedTuple):
    """/proc/PID/io: bytes from and to disks, including those of exited children that it waited for."""

    read_bytes: int
    written_bytes: int


class Traffic(NamedTuple):
    """Bytes received and sent, of one or more network interfaces."""

    received: int
    sent: int


def read_file(path: str, size: int = MAX_FILE_BYTES) -> bytes:
    """Read a file in one call, up to `size` bytes; of a list no more than a page. Raises UnreadableError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(descriptor, size)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise convert_error(error) from error


def read_list(path: str, size: int = MAX_LIST_BYTES) -> bytes:
    """Read a file with one line per object, which the kernel returns page by page. Raises UnreadableError."""
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - hot
            text = bytearray()
            while len(text) < size and (page := file.read(MAX_FILE_BYTES)):
                text += page
            return bytes(text)
    except OSError as error:
        raise convert_error(error) from error


def convert_error(error: OSError) -> UnreadableError:
    """The UnreadableError for an error of the kernel."""
    return UnreadableError(get_reason(error), error.strerror or "")


def get_reason(error: OSError) -> str:
    """Why a file is not readable: one of REASONS, or GONE."""
    if isinstance(error, PermissionError):
        return "permission"
    if isinstance(error, (FileNotFoundError, NotADirectoryError, IsADirectoryError, ProcessLookupError)):
        return GONE
    # For example too many open files: the process must not be taken for ended.
    return "failed"


def parse_stat(text: bytes) -> Stat:
    """Parse stat. The command between the brackets may contain brackets itself. Raises MalformedError."""
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
    """Parse status. A zombie has no memory. Raises MalformedError."""
    try:
        peak, anonymous, waits, turns = (parse_number(text, name) for name in STATUS_FIELDS)
        return Status(peak * KIBIBYTE, anonymous * KIBIBYTE, waits + turns)
    except (IndexError, ValueError) as error:
        raise MalformedError("status") from error


def parse_open_limit(text: bytes) -> float:
    """Soft limit of open files, from limits; infinite if there is none.

    Raises MalformedError.
    """
    place = text.find(b"Max open files")
    try:
        word = text[place + 14 : place + 60].split(None, 1)[0] if place >= 0 else raise_malformed("limits")
        limit = math.inf if word == b"unlimited" else int(word)
    except (IndexError, ValueError) as error:
        raise MalformedError("limits") from error
    # Nearly all processes have the same limit.
    return KNOWN_LIMITS.setdefault(limit, limit)


def parse_io(text: bytes) -> Io:
    """Parse io. Raises MalformedError."""
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
    """Pids among the entries of /proc, ascending."""
    return sorted(map(int, filter(str.isdecimal, names)))


def parse_fields(text: bytes, separator: bytes) -> dict[bytes, bytes]:
    """Lines of name, separator and value. Other lines are skipped."""
    pairs = (line.partition(separator) for line in text.splitlines())
    return {name.strip(): value.strip() for name, mark, value in pairs if mark}


def parse_number(text: bytes, mark: bytes, absent: int | None = 0) -> int:
    """The number after a mark, without its unit, in any line but the first.

    Raises IndexError or ValueError if there is no number, or if the mark is missing and `absent` is None.
    """
    place = text.find(mark)
    if place < 0:
        return absent if absent is not None else raise_malformed(mark.decode())
    start = place + len(mark)
    return int(text[start : start + MAX_NUMBER_WIDTH].split(None, 1)[0])


def raise_malformed(what: str) -> int:
    raise MalformedError(what)
