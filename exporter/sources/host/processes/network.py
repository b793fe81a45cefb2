"""What tasks receive and send, where a try has a network namespace of its own."""

from __future__ import annotations

from collections.abc import Iterable

from exporter.sources.host.proc import procfs
from exporter.sources.host.proc.files import Files
from exporter.sources.host.proc.procfs import MalformedError, UnreadableError
from exporter.sources.host.processes.memory import Owned
from exporter.sources.host.processes.owners import Component, Owner, Try
from exporter.sources.host.processes.process import Process

LOOPBACK = "lo"


class Network:
    """Reads the traffic of namespaces that only one try lives in, with whoever watches over it."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def read(self, owned: Iterable[Owned]) -> None:
        """Put down what each such try received and sent since the last read."""
        processes = list(owned)
        tries = {owner for _, owner in processes if isinstance(owner, Try)}
        if not tries:
            return
        try:
            common = self._files.find_namespace("self")
        except UnreadableError:
            return
        for process, _ in processes:
            self._find_space(process, common)
        for owners in group(processes, common).values():
            dwellers = [owner for owner in owners if not is_watcher(owner)]
            if len(dwellers) == 1 and isinstance(dwellers[0], Try):
                self._record(dwellers[0], owners[dwellers[0]])

    def _find_space(self, process: Process, common: int) -> None:
        """The namespace of a process, which hardly ever changes it; most have the common one."""
        if process.space is not None:
            return
        try:
            space = self._files.find_namespace(process.stat.pid)
        except UnreadableError as error:
            if error.reason != procfs.GONE:
                process.note_unreadable("net", error)
            return
        process.space = common if space == common else space

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


def group(processes: Iterable[Owned], common: int) -> dict[int, dict[Owner, Process]]:
    """Who lives in each namespace but the common one, with one process each."""
    found: dict[int, dict[Owner, Process]] = {}
    for process, owner in processes:
        if process.space is not None and process.space != common:
            found.setdefault(process.space, {}).setdefault(owner, process)
    return found


def is_watcher(owner: Owner) -> bool:
    return isinstance(owner, Component) and owner.name == "task_supervisor"
