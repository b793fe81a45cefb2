"""The host source: this machine, Airflow's components on it, and running tasks."""

from __future__ import annotations

import socket
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

from exporter.config.dag_filter import DagFilter
from exporter.config.settings import AirflowSettings, HostSettings, Settings
from exporter.diagnosis.report import TryUse
from exporter.metrics.family import OTHER, Labels
from exporter.metrics.reading import Reader, ReaderError, Source
from exporter.sources.context import Previous, SourceContext
from exporter.sources.directory import Directory, TaskKey
from exporter.sources.host.name_client import TaskNamesReader, TaskNamesSource
from exporter.sources.host.proc.files import ProcFiles
from exporter.sources.host.proc.procfs import TICKS_PER_SECOND, UnreadableError
from exporter.sources.host.processes.attribution import Attribution
from exporter.sources.host.processes.memory import OwnedProcess, ProcessDetails
from exporter.sources.host.processes.memory_kills import MemoryKills, read_count
from exporter.sources.host.processes.network import NetworkUsage
from exporter.sources.host.processes.owners import UNKNOWN, ComponentOwner, Owner, Try
from exporter.sources.host.processes.process_table import ProcessTable
from exporter.sources.host.processes.sightings import Sightings
from exporter.sources.host.processes.task_usage import TaskNames, TryTable
from exporter.sources.host.readers import (
    MIN_QUICK_SCAN_INTERVAL,
    HostContext,
    ProcessesReader,
    TaskResourcesReader,
)

if TYPE_CHECKING:
    from exporter.sources.host.machine import MachineReader
    from exporter.sources.host.processes.clients import ClientProcesses

PSS_TIME_SHARE = 0.02
"""Share of the interval for reading proportional memory. What is left is read in later cycles."""


MISSED_SECONDS = MIN_QUICK_SCAN_INTERVAL
"""By how much longer a try runs on average than it is seen: half a scan before, and half of one after."""
MIN_SHARE_SECONDS = 3.0
"""Seconds that a try of Airflow 2 has to be seen for its share of the CPU to be known; a scan is a sixth of them."""


class HostSource:
    """This machine. It has no connection; `connect` checks that /proc is there."""

    name = "host"
    vital = ""
    refused = False

    def __init__(
        self,
        settings: HostSettings,
        airflow: AirflowSettings,
        names: TaskNames | None,
        directory: Directory | None = None,
    ) -> None:
        """`directory` gets what the processes of tries do."""
        self._settings = settings
        self._directory = directory or Directory()
        self._sightings = Sightings(list_host_names)
        self._memory_kills = MemoryKills()
        self._machine: MachineReader | None = None
        self._files = ProcFiles(settings.procfs)
        self.tries = TryTable(names, TaskLabels(airflow).get, on_end=self._record_end)
        attribution = Attribution(self.tries.get_or_create)
        self._process_table = ProcessTable(self._files, attribution)
        self._clients: ClientProcesses | None = None
        self._directory.find_clients = self._find_clients
        details = ProcessDetails(self._files, settings.interval * PSS_TIME_SHARE)
        host_context = HostContext(self._process_table, attribution, self.tries, details, NetworkUsage(self._files))
        self._processes = ProcessesReader(host_context, settings.interval, self._report)
        self.readers: Sequence[Reader] = [
            self._processes,
            TaskResourcesReader(host_context, settings.interval, self._note_ends),
            *([self._build_machine_reader()] if settings.machine else []),
        ]

    def __str__(self) -> str:
        notes = "; ".join(self._processes.notes)
        return f"{self._settings.procfs}, {self._processes.seen} processes" + (f"; {notes}" if notes else "")

    def connect(self) -> None:
        """Check that /proc lists processes. Raises ReaderError."""
        try:
            found = self._files.list_pids()
        except UnreadableError as error:
            advice = "" if error.reason == "failed" else "; see --path.procfs"
            raise ReaderError("internal", f"{self._settings.procfs}: {error}{advice}") from error
        if not found:
            raise ReaderError("internal", f"{self._settings.procfs} has no processes; see --path.procfs")

    def begin(self, deadline: float) -> None:
        """Does nothing: the readers have shorter deadlines."""

    def close(self) -> None:
        """Close the files that stay open between two scans."""
        self._process_table.close()

    def _record_end(self, one: Try, cpu_seconds: float, seconds: float) -> None:
        """Hand over what a try used; of Airflow 2, whose titles have no UUID, only of those that were seen for long."""
        self._directory.observed_tries.ended.append(TryUse(seconds + MISSED_SECONDS, cpu_seconds, one.peak))
        if one.uuid:
            self._directory.record_try_cpu(one.uuid, cpu_seconds)
        elif one.named is not None and seconds >= MIN_SHARE_SECONDS:
            self._directory.record_cpu(one.named, cpu_seconds, seconds + MISSED_SECONDS)

    def _report(self, owned: list[OwnedProcess]) -> None:
        saturated = self._machine.saturation.text if self._machine is not None else ""
        machine = self._sightings.build(owned, self._process_table.processes, saturated)
        self._directory.record_machine(machine)
        observed = self._directory.observed_tries
        observed.host_names, observed.running = list_host_names(), list_running(self.tries.list_running(), owned)
        observed.room = self._machine.saturation.room if self._machine is not None else None
        if self._clients is not None:
            self._clients.set_processes(owned)
        self._note_ends()

    def _note_ends(self) -> None:
        """After each scan: hand over which tries the kernel killed. Its count is not read while there are no tries."""
        ended, running = self._process_table.ended_tries, self.tries.note_running()
        count = read_count(self._settings.procfs) if ended or running else None
        for kill in self._memory_kills.note(ended, count):
            self._directory.record_memory_kill(kill)

    def _find_clients(self, clients: Collection[tuple[str, int]]) -> Mapping[tuple[str, int], str]:
        """The components of clients of the database, from the next scan of processes on."""
        if self._clients is None:
            # Only an exporter that reads the database needs it, and one on a worker must stay small.
            from exporter.sources.host.processes.clients import ClientProcesses  # noqa: PLC0415

            self._clients = ClientProcesses(self._files)
        return self._clients.find(clients)

    def _build_machine_reader(self) -> Reader:
        # An exporter that does not read the machine saves the memory of psutil.
        from exporter.sources.host.machine import MachineReader  # noqa: PLC0415

        settings = self._settings
        self._machine = MachineReader(
            settings.procfs, settings.sysfs, settings.rootfs, settings.interval, self._list_main_pids
        )
        return self._machine

    def _list_main_pids(self) -> list[int]:
        """Pids of the main processes of components: their children are in the same control group.

        A component may run several times, for example as workers in containers with different limits.
        """
        return sorted(
            process.stat.pid
            for process, owner in self._process_table.list_owned()
            if isinstance(owner, ComponentOwner) and not process.helper
        )


@cache
def list_host_names() -> Sequence[str]:
    """The names by which Airflow may call this machine."""
    return socket.gethostname(), socket.getfqdn()


def list_running(tries: Collection[Try], owned: Collection[OwnedProcess]) -> dict[str, TryUse]:
    """What the tries that run use now, by UUID or another key."""
    memory: dict[Owner, int] = {}
    for process, owner in owned:
        memory[owner] = memory.get(owner, 0) + (process.pss or 0)
    return {
        one.uuid or one.key: TryUse(0.0, one.cpu_ticks / TICKS_PER_SECOND, one.peak, memory.get(one, 0))
        for one in tries
    }


class TaskLabels:
    """Labels of a task. DAGs that are excluded share the label `_other`."""

    def __init__(self, settings: AirflowSettings) -> None:
        self._dag_filter = DagFilter(settings)

    def get(self, named: TaskKey) -> Labels:
        """Values of `dag_id` and `task_id`."""
        covered = named.dag_id == UNKNOWN or self._dag_filter.includes(named.dag_id)
        dag_id, task_id = named if covered else (OTHER, OTHER)
        return dag_id, self._dag_filter.task_label(task_id)


def build(settings: Settings, context: SourceContext, previous: Previous, /) -> list[Source]:
    """The host source and, with `host.task_names_from`, the source that asks another exporter for names.

    With unchanged settings the running sources are kept: they know which processes were already counted.
    """
    unchanged = (settings.host, settings.airflow) == (previous.settings.host, previous.settings.airflow)
    if unchanged and HostSource.name in previous.sources:
        return [previous.sources[name] for name in (HostSource.name, TaskNamesSource.name) if name in previous.sources]
    host = settings.host
    if not host.task_names_from:
        known = context.directory if settings.collectors["airflow"] else None
        return [HostSource(host, settings.airflow, known, context.directory)]
    names = Directory()
    source = HostSource(host, settings.airflow, names, context.directory)
    reader = TaskNamesReader(host, names, source.tries.list_unnamed)
    return [source, TaskNamesSource(reader, host.task_names_from)]
