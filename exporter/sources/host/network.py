"""What tasks receive and send, where a try has a network namespace of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from exporter.sources.host import procfs
from exporter.sources.host.details import Owned
from exporter.sources.host.files import Files
from exporter.sources.host.owners import Component, Owner, Try
from exporter.sources.host.process import Process
from exporter.sources.host.procfs import MalformedError, UnreadableError

LOOPBACK = "lo"


class Network:
    """Reads the traffic of namespaces that only one try lives in, with whoever watches over it."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._namespaces: dict[tuple[int, int], int] = {}

    def read(self, owned: Iterable[Owned]) -> None:
        """Put down what each such try received and sent since the last read."""
        processes = list(owned)
        tries = {owner for _, owner in processes if isinstance(owner, Try)}
        if not tries:
            self._namespaces.clear()
            return
        try:
            common = self._files.find_namespace("self")
        except UnreadableError:
            return
        spaces = self._map(processes)
        for space, owners in group(processes, spaces).items():
            dwellers = [owner for owner in owners if not is_watcher(owner)]
            if space != common and len(dwellers) == 1 and isinstance(dwellers[0], Try):
                self._record(dwellers[0], owners[dwellers[0]])

    def _map(self, processes: Iterable[Owned]) -> Mapping[tuple[int, int], int]:
        """The namespace of each process; a process hardly ever changes it."""
        known, self._namespaces = self._namespaces, {}
        for process, _ in processes:
            space = known.get(process.key)
            if space is None:
                try:
                    space = self._files.find_namespace(process.stat.pid)
                except UnreadableError as error:
                    if error.reason != procfs.GONE:
                        process.note_unreadable("net", error)
                    continue
            self._namespaces[process.key] = space
        return self._namespaces

    def _record(self, one: Try, process: Process) -> None:
        try:
            found = procfs.parse_traffic(self._files.read(process.stat.pid, "net/dev"))
        except (UnreadableError, MalformedError) as error:
            process.note_unreadable("net", error)
            return
        traffic = [each for name, each in found.items() if name != LOOPBACK]
        received, sent = sum(each.received for each in traffic), sum(each.sent for each in traffic)
        before = one.traffic or (0, 0)
        one.usage.received += max(0, received - before[0])
        one.usage.sent += max(0, sent - before[1])
        one.traffic = (received, sent)


def group(processes: Iterable[Owned], spaces: Mapping[tuple[int, int], int]) -> dict[int, dict[Owner, Process]]:
    """Who lives in each namespace, with one process each."""
    found: dict[int, dict[Owner, Process]] = {}
    for process, owner in processes:
        space = spaces.get(process.key)
        if space is not None:
            found.setdefault(space, {}).setdefault(owner, process)
    return found


def is_watcher(owner: Owner) -> bool:
    return isinstance(owner, Component) and owner.name == "task_supervisor"
