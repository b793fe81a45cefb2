"""Reads files of processes from one /proc, which may be that of the host, mounted at another path."""

from __future__ import annotations

import os
from pathlib import Path

from exporter.sources.host.proc import procfs
from exporter.sources.host.proc.procfs import UnreadableError


class ProcFiles:
    """Reads files of processes. All other modules read them through this class."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._prefix = f"{root}/"

    def read(self, pid: int, name: str, size: int = procfs.MAX_FILE_BYTES) -> bytes:
        """Read a file of a process. Raises UnreadableError."""
        return procfs.read_file(f"{self._prefix}{pid}/{name}", size)

    def read_list(self, pid: int, name: str) -> bytes:
        """Read a file of a process that has one line per object. Raises UnreadableError."""
        return procfs.read_list(f"{self._prefix}{pid}/{name}")

    def open(self, pid: int, name: str) -> int:
        """Open a file that is read repeatedly, with pread. The caller closes the descriptor. Raises UnreadableError."""
        try:
            return os.open(f"{self._prefix}{pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise procfs.convert_error(error) from error

    def list_pids(self) -> list[int]:
        """All pids, ascending. Raises UnreadableError."""
        try:
            return procfs.parse_pids(os.listdir(self.root))  # noqa: PTH208 - hot
        except OSError as error:
            raise procfs.convert_error(error) from error

    def list_children(self, pid: int) -> list[int]:
        """Children of the main thread of a process; empty if the kernel does not report them."""
        try:
            return [int(child) for child in self.read_list(pid, f"task/{pid}/children").split()]
        except (UnreadableError, ValueError):
            return []

    def count_fds(self, pid: int) -> int:
        """Number of open file descriptors of a process. Raises UnreadableError."""
        path = f"{self._prefix}{pid}/fd"
        try:
            # From Linux 6.2 on the size of the folder is the number of descriptors.
            return os.stat(path).st_size if FD_COUNT_IS_SIZE else len(os.listdir(path))  # noqa: PTH116, PTH208 - hot
        except OSError as error:
            raise procfs.convert_error(error) from error

    def read_network_namespace(self, pid: int | str) -> int:
        """Inode of the network namespace of a process. Raises UnreadableError."""
        try:
            return os.stat(f"{self._prefix}{pid}/ns/net").st_ino  # noqa: PTH116 - hot
        except OSError as error:
            raise procfs.convert_error(error) from error


def has_fd_count_as_size() -> bool:
    """Whether this kernel reports the number of descriptors as the size of the folder."""
    try:
        return os.stat("/proc/self/fd").st_size > 0  # noqa: PTH116
    except OSError:
        return False


FD_COUNT_IS_SIZE = has_fd_count_as_size()
