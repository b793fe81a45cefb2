"""The readers of processes over a folder of invented ones, and the sums of all that they report."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from exporter.config.settings import AirflowSettings, HostSettings
from exporter.metrics.family import Family, Labels
from exporter.metrics.reading import Reading
from exporter.sources.directory import Directory
from exporter.sources.host.source import HostSource
from tests.integration.host.tree import Tree

TICKS_PER_SECOND = 100


class Watch:
    """A host source whose /proc is a folder; `full_scan` reports, `quick_scan` scans tasks only."""

    def __init__(self, folder: Path, *, named: bool = True) -> None:
        self.tree = Tree(folder)
        self.tree.add(1, 0, "init")
        self.directory = Directory()
        settings = HostSettings(machine=False, procfs=folder)
        self.source = HostSource(settings, AirflowSettings(), self.directory if named else None, self.directory)
        self.processes, self.tasks = self.source.readers
        self.sums: defaultdict[tuple[str, Labels], float] = defaultdict(float)
        self.observed: list[tuple[str, Labels, float]] = []
        self.reading = Reading()

    def full_scan(self, times: int = 1) -> None:
        """One report, or several; nothing that is reported is negative."""
        for _ in range(times):
            self.reading = self.processes.read()
            for family, labels, value in self.reading.changes:
                assert value >= 0, (family.name, labels, value)
                self.sums[family.name, labels] += value
                self.observed.append((family.name, labels, value))

    def quick_scan(self) -> None:
        """What the quick reader does between two reports."""
        self.tasks.read()

    def cpu(self, component: str) -> int:
        """Ticks of a component so far."""
        return round(self.sums["airflow_process_cpu_seconds_total", (component,)] * TICKS_PER_SECOND)

    def task_cpu(self, dag_id: str, task_id: str) -> int:
        """Ticks of a task so far."""
        return round(self.sums["airflow_task_cpu_seconds_total", (dag_id, task_id)] * TICKS_PER_SECOND)

    def all_cpu(self) -> int:
        """Ticks of all components and tasks."""
        wanted = ("airflow_process_cpu_seconds_total", "airflow_task_cpu_seconds_total")
        return round(sum(value for (name, _), value in self.sums.items() if name in wanted) * TICKS_PER_SECOND)

    def others(self) -> int:
        """Ticks of processes that are not Airflow's."""
        return round(self.sums["airflow_host_other_cpu_seconds_total", ()] * TICKS_PER_SECOND)

    def value(self, family: Family, *labels: str) -> float | None:
        """A figure of the newest state; None where there is none."""
        return self.reading.tables[family].get(labels)

    def histogram(self, name: str) -> list[tuple[Labels, float]]:
        """What a histogram observed so far."""
        return [(labels, value) for each, labels, value in self.observed if each == name]
