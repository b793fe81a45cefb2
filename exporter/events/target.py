"""Where lines are appended: a file that is rotated by size, or standard output. Not thread-safe: one thread writes."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

STDOUT = Path("-")
"""The name of standard output."""
MODE = 0o640
"""Of a new file: ids of DAGs are not for everybody on the machine; a group can be given to the log shipper."""


class EventTarget:
    """Appends whole lines. A file that another program moved, deleted or truncated is noticed and opened again."""

    def __init__(self, path: Path, max_bytes: int, backups: int) -> None:
        """`max_bytes` is the size after which a file is renamed to FILE.1; 0 for never. `backups` are kept."""
        self._path = path
        self._max_bytes = max_bytes
        self._backups = backups
        self._fd = -1

    def append(self, lines: Iterable[bytes]) -> None:
        """Write the lines, and have the system write them to the disk. Raises OSError; then none of them counts."""
        self._reopen_if_moved()
        try:
            for batch in self._split(lines):
                self._write_whole(batch)
            self._sync()
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Close the file; the next append opens it again."""
        if self._fd >= 0 and self._path != STDOUT:
            with suppress(OSError):
                os.close(self._fd)
        self._fd = -1

    def _split(self, lines: Iterable[bytes]) -> Iterable[bytes]:
        """The lines, joined up to the size at which the file is rotated, which happens in between."""
        size, batch = self._get_size(), bytearray()
        for line in lines:
            if size is not None and self._max_bytes and size + len(batch) + len(line) > self._max_bytes:
                yield bytes(batch)
                if size or batch:
                    self._rotate()
                size, batch = 0, bytearray()
            batch += line
        yield bytes(batch)

    def _write_whole(self, data: bytes) -> None:
        """Write all of it. A regular file on which that fails gets its former length: no half line stays."""
        before = self._get_size()
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError:
            if before is not None:
                with suppress(OSError):
                    os.ftruncate(self._fd, before)
            raise

    def _reopen_if_moved(self) -> None:
        if self._path == STDOUT:
            self._fd = 1
            return
        if self._fd >= 0:
            try:
                ours, theirs = os.fstat(self._fd), self._path.stat()
            except FileNotFoundError:
                self.close()
            else:
                if (ours.st_dev, ours.st_ino) != (theirs.st_dev, theirs.st_ino):
                    self.close()
        if self._fd < 0:
            self._fd = open_file(self._path)

    def _get_size(self) -> int | None:
        """The size of a regular file; None for anything else, which is not rotated."""
        found = os.fstat(self._fd)
        return found.st_size if stat.S_ISREG(found.st_mode) and self._path != STDOUT else None

    def _rotate(self) -> None:
        """FILE.1 becomes FILE.2 and so on, the last one goes, and FILE becomes FILE.1."""
        self._sync()
        self.close()
        names = [self._path, *(self._path.with_name(f"{self._path.name}.{n}") for n in range(1, self._backups + 1))]
        names[-1].unlink(missing_ok=True)
        for older, newer in zip(reversed(names), list(reversed(names))[1:], strict=False):
            with suppress(FileNotFoundError):
                newer.rename(older)
        self._reopen_if_moved()

    def _sync(self) -> None:
        if self._get_size() is not None:
            os.fsync(self._fd)


def open_file(path: Path) -> int:
    """Open or create the file. A new one can be read by the group also with a umask of 077, as services have."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags | os.O_EXCL, MODE)
    except FileExistsError:
        return os.open(path, flags, MODE)
    os.fchmod(descriptor, MODE)
    return descriptor
