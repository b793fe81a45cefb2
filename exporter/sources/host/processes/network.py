"""Network traffic of tasks that have their own network namespace.

Read by hand: psutil reads net/dev of the exporter's namespace only, and has no namespaces of processes.
"""

from __future__ import annotations

from collections.abc import Iterable

from exporter.sources.host.proc import procfs
from exporter.sources.host.proc.files import ProcFiles
from exporter.sources.host.proc.procfs import MalformedError, UnreadableError
from exporter.sources.host.processes.memory import OwnedProcess
from exporter.sources.host.processes.owners import ComponentOwner, Owner, Try
from exporter.sources.host.processes.process import Process

LOOPBACK = "lo"


class NetworkUsage:
    """Reads the traffic of network namespaces that only one try uses, with or without its supervisor."""

    def __init__(self, files: ProcFiles) -> None:
        self._files = files

    def read(self, owned: Iterable[OwnedProcess]) -> None:
        """Count what each such try received and sent since the last read."""
        processes = list(owned)
        tries = {owner for _, owner in processes if isinstance(owner, Try)}
        if not tries:
            return
        try:
            common = self._files.read_network_namespace("self")
        except UnreadableError:
            return
        for process, _ in processes:
            self._read_namespace(process, common)
        for owners in group_by_namespace(processes, common).values():
            residents = [owner for owner in owners if not is_supervisor(owner)]
            if len(residents) == 1 and isinstance(residents[0], Try):
                self._record(residents[0], owners[residents[0]])

    def _read_namespace(self, process: Process, common: int) -> None:
        """Read the namespace of a process once: processes rarely change it."""
        if process.network_namespace is not None:
            return
        try:
            space = self._files.read_network_namespace(process.stat.pid)
        except UnreadableError as error:
            if error.reason != procfs.GONE:
                process.note_unreadable("net", error)
            return
        process.network_namespace = common if space == common else space

    def _record(self, one: Try, process: Process) -> None:
        try:
            found = procfs.parse_traffic(self._files.read_list(process.stat.pid, "net/dev"))
        except (UnreadableError, MalformedError) as error:
            process.note_unreadable("net", error)
            return
        traffic = [each for name, each in found.items() if name != LOOPBACK]
        received, sent = sum(each.received for each in traffic), sum(each.sent for each in traffic)
        before = one.traffic or (0, 0)
        one.usage.received += max(0, received - before[0])
        one.usage.sent += max(0, sent - before[1])
        one.traffic = (received, sent)


def group_by_namespace(processes: Iterable[OwnedProcess], common: int) -> dict[int, dict[Owner, Process]]:
    """Owners by namespace, each with one process, except for the exporter's own namespace `common`."""
    found: dict[int, dict[Owner, Process]] = {}
    for process, owner in processes:
        if process.network_namespace is not None and process.network_namespace != common:
            found.setdefault(process.network_namespace, {}).setdefault(owner, process)
    return found


def is_supervisor(owner: Owner) -> bool:
    return isinstance(owner, ComponentOwner) and owner.name == "task_supervisor"
