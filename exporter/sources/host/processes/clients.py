"""Which process a client of a server is: the owner of the socket with its address and port.

The metadata database shows the addresses of its clients; the other source asks here, in its own thread.
"""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path

from exporter.sources.host.proc.files import ProcFiles
from exporter.sources.host.proc.procfs import UnreadableError
from exporter.sources.host.processes.memory import OwnedProcess
from exporter.sources.host.processes.owners import ComponentOwner

Client = tuple[str, int]
"""Address and port."""
ESTABLISHED = b"01"
"""The state of an open connection in /proc/net/tcp."""
TASK = "task"
"""The component of the process of a task."""
MAX_PROCESSES = 1000
"""Processes whose descriptors are looked through at once."""


class ClientProcesses:
    """Finds the components of clients; what was found is kept while the client is asked for."""

    def __init__(self, files: ProcFiles) -> None:
        self._files = files
        self._components: Mapping[int, str] = {}
        self._found: Mapping[Client, str] = {}

    def set_processes(self, owned: Iterable[OwnedProcess]) -> None:
        """Set Airflow's processes.

        A process that was forked has the sockets of its parent, too (the workers of the LocalExecutor those of the
        scheduler), so the process that started first owns them.
        """
        started = sorted(owned, key=lambda one: (one[0].stat.start, one[0].stat.pid))
        self._components = {
            process.stat.pid: owner.name if isinstance(owner, ComponentOwner) else TASK for process, owner in started
        }

    def find(self, clients: Collection[Client]) -> Mapping[Client, str]:
        """The components of those clients that are processes of Airflow on this machine, and may be read."""
        known = {client: component for client, component in self._found.items() if client in clients}
        missing = {client for client in clients if client not in known}
        components = self._components
        sockets = self._find_sockets(components, missing) if missing else {}
        found: dict[Client, str] = {}
        for client, component in self._find_owners(components, sockets) if sockets else ():
            found.setdefault(client, component)
        self._found = known | found
        return self._found

    def _find_sockets(self, pids: Iterable[int], clients: Collection[Client]) -> dict[int, Client]:
        """The inodes of the clients' sockets, in every network namespace of the processes."""
        namespaces: dict[int, int] = {}
        for pid in pids:
            try:
                namespaces.setdefault(self._files.read_network_namespace(pid), pid)
            except UnreadableError:
                continue
        files = [self._files.root / str(pid) / "net" / name for pid in namespaces.values() for name in ("tcp", "tcp6")]
        sockets = chain.from_iterable(parse_sockets(read_all(file)) for file in files)
        return {inode: client for client, inode in sockets if client in clients}

    def _find_owners(
        self, components: Mapping[int, str], sockets: Mapping[int, Client]
    ) -> Iterator[tuple[Client, str]]:
        links = {f"socket:[{inode}]": client for inode, client in sockets.items()}
        for pid in list(components)[:MAX_PROCESSES]:
            for link in list_links(self._files.root / str(pid) / "fd"):
                if link in links:
                    yield links[link], components[pid]


def read_all(path: Path) -> bytes:
    """The content of a file; empty if it is not readable."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def list_links(folder: Path) -> Iterator[str]:
    """Yield what the descriptors of a process refer to; none if they are not readable."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 - hot
    except OSError:
        return
    for name in names:
        try:
            yield os.readlink(folder / name)  # noqa: PTH115 - hot
        except OSError:
            continue


def parse_sockets(data: bytes) -> Iterator[tuple[Client, int]]:
    """Yield the local address and the inode of each open connection in /proc/PID/net/tcp or tcp6."""
    for line in data.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] == ESTABLISHED:
            address, _, port = fields[1].partition(b":")
            yield (parse_address(address.decode()), int(port, 16)), int(fields[9])


def parse_address(text: str) -> str:
    """An address as the kernel writes it: hexadecimal words in the order of this machine."""
    words = [int(text[place : place + 8], 16).to_bytes(4, sys.byteorder) for place in range(0, len(text), 8)]
    packed = b"".join(words)
    if len(packed) == 4:
        return str(ipaddress.IPv4Address(packed))
    address = ipaddress.IPv6Address(packed)
    return str(address.ipv4_mapped or address)
