"""Whether the kernel killed a failed try for lack of memory, as the host source saw it on this machine."""

from __future__ import annotations

import math
from dataclasses import replace

from exporter.diagnosis.evidence import Evidence
from exporter.sources.airflow.failing.backlog import BacklogEntry
from exporter.sources.directory import Directory, TaskKey

CLOCK_TOLERANCE = 60.0
"""Seconds by which the clocks of Airflow and of this machine, and the moment of the kill, may differ."""


class MemoryEvidence:
    """What the directory knows of kills for lack of memory."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def add_to(self, evidence: Evidence, entry: BacklogEntry) -> Evidence:
        """The evidence, with the kill of a process of the try if there was one."""
        return replace(evidence, out_of_memory=True) if self._was_killed(entry) else evidence

    def may_follow(self, entry: BacklogEntry) -> bool:
        """Whether a kill may become known a moment later: the try ran on this machine, and is judged the first time."""
        machine = self._directory.get_machine()
        return not entry.attempts and machine is not None and entry.hostname in machine.host_names

    def _was_killed(self, entry: BacklogEntry) -> bool:
        machine = self._directory.get_machine()
        if machine is None or entry.hostname not in machine.host_names:
            return False
        since = -math.inf if entry.start_date is None else entry.start_date - CLOCK_TOLERANCE
        until = math.inf if entry.end_date is None else entry.end_date + CLOCK_TOLERANCE
        return self._directory.has_memory_kill(TaskKey(entry.dag_id, entry.task_id), since, until)
