"""What the processes of running tries do, handed over for the diagnosis."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from exporter.diagnosis.waits.running import Machine, TryProcess
from exporter.sources.host.proc.procfs import TICKS_PER_SECOND
from exporter.sources.host.processes.memory import OwnedProcess
from exporter.sources.host.processes.owners import ComponentOwner, Try
from exporter.sources.host.processes.process import Process
from exporter.sources.host.processes.titles import TryIds

IDLE_SHARE = 0.005
"""Share of one CPU up to which a process counts as one that does nothing: an interpreter that waits uses a little."""
TASK_RUNNERS = frozenset({"local_worker", "local_executor", "celery_worker", "edge_worker", "task_supervisor"})
"""Components that show that tasks of this machine are visible."""


class Sightings:
    """Remembers when the processes of each try last used CPU."""

    def __init__(self, host_names: Callable[[], Iterable[str]], clock: Callable[[], float] = time.monotonic) -> None:
        """`host_names` are the names by which Airflow may call this machine."""
        self._host_names = host_names
        self._names: frozenset[str] | None = None
        self._clock = clock
        self._activity: dict[str, tuple[int, float, float]] = {}
        """By key: ticks and time when last looked at, and when CPU was used (monotonic seconds)."""

    def build(self, owned: Iterable[OwnedProcess], processes: Mapping[int, Process], saturated: str) -> Machine:
        """What is seen now. `processes` are all processes by pid."""
        if self._names is None:
            self._names = frozenset(self._host_names())
        now, runs_tasks = self._clock(), False
        found: dict[str, TryProcess] = {}
        activity: dict[str, tuple[int, float, float]] = {}
        for process, owner in sorted(owned, key=lambda item: item[0].stat.start):
            if isinstance(owner, ComponentOwner):
                runs_tasks = runs_tasks or owner.name in TASK_RUNNERS
            key = get_key(process, owner) if isinstance(owner, Try) else ""
            if not isinstance(owner, Try) or not key:
                continue
            runs_tasks = True
            activity[key] = self._note(key, owner.cpu_ticks, now)
            known = found.get(key)
            lost = is_lost(process, processes) or (known is not None and known.lost_parent)
            pid = known.pid if known is not None else process.stat.pid
            found[key] = TryProcess(pid, owner.cpu_ticks / TICKS_PER_SECOND, now - activity[key][2], lost)
        self._activity = activity
        return Machine(self._names if runs_tasks else frozenset(), found, saturated)

    def _note(self, key: str, ticks: int, now: float) -> tuple[int, float, float]:
        before, looked, active = self._activity.get(key, (0, now, now))
        used = (ticks - before) / TICKS_PER_SECOND
        return ticks, now, now if used > IDLE_SHARE * (now - looked) else active


def get_key(process: Process, owner: Try) -> str:
    """What identifies a try: its UUID, or DAG, run and task from a title of Airflow 2; empty where neither is known."""
    if owner.uuid:
        return owner.uuid
    work = process.title.work if process.title else None
    return format_key(work) if work is not None and work.dag_id else ""


def format_key(work: TryIds) -> str:
    """DAG, run and task; the title of Airflow 2 has the number of a job after the run."""
    run_id, _, last = work.run_id.rpartition(" ")
    return f"{work.dag_id}\0{run_id if last.isdecimal() and run_id else work.run_id}\0{work.task_id}"


def is_lost(process: Process, processes: Mapping[int, Process]) -> bool:
    """Whether a task's process lost the process that supervised it: its parent is now one that is not Airflow's."""
    title = process.title
    if title is None or title.component or title.work is None:
        return False
    parent = processes.get(process.stat.ppid)
    return process.stat.ppid == 1 or (parent is not None and parent.owner is None)
