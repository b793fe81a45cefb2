"""Ids and facts about Airflow that one source reads and the others need.

The Airflow source fills it. StatsD needs it to split dotted names, the host source to find a process's task. If the API
is off, it stays empty. Parts are replaced as a whole or only grow, so any thread may read it.
"""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import chain
from sys import intern
from typing import TYPE_CHECKING, NamedTuple

from exporter.diagnosis.costs.rows import MemoryGrowth
from exporter.diagnosis.report import CostFinding, Diagnosis, FailedTry, FailureFinding, ObservedTries, add_obstacle

if TYPE_CHECKING:
    from exporter.diagnosis.findings import Finding
    from exporter.diagnosis.report import HostSizing
    from exporter.diagnosis.situation import Workers
    from exporter.diagnosis.waits.database import DatabaseFacts
    from exporter.diagnosis.waits.running import Machine

MAX_TASKS_PER_DAG = 5_000
"""Task ids that are remembered for one DAG."""
MAX_TRIES = 30_000
"""Tries that are remembered by UUID; the one that was seen longest ago is removed first."""
DAG_LIFETIME = 86_400.0
"""Seconds that a DAG is remembered after it was last listed, because a list may be incomplete for a moment."""


MAX_MACHINE_AGE = 120.0
"""Seconds for which it holds what was seen of the machine."""
MAX_DATABASE_AGE = 120.0
"""Seconds for which it holds what was seen of the metadata database."""
MAX_MEMORY_KILLS = 1_000
"""Kills for lack of memory that are remembered."""
MAX_SHARES = 20_000
"""Tasks whose share of the CPU is remembered, and tries whose CPU is."""

NOT_IN_STATSD = re.compile(r"[^a-zA-Z0-9_.-]")
"""Characters that Airflow replaces by an underscore in StatsD names."""


ClientFinder = Callable[[Collection[tuple[str, int]]], Mapping[tuple[str, int], str]]
"""Takes clients by address and port; returns the components of those whose processes are known."""


def find_no_clients(_clients: Collection[tuple[str, int]]) -> Mapping[tuple[str, int], str]:
    """Finds none: the host source is off."""
    return {}


class TaskKey(NamedTuple):
    """The task of a try."""

    dag_id: str
    task_id: str


class MemoryKill(NamedTuple):
    """A process of a try that ended while the kernel killed for lack of memory."""

    uuid: str
    """Of the try; empty on Airflow 2."""
    named: TaskKey | None
    """The task, where the process says it."""
    when: float
    """Unix seconds, by the clock of the exporter."""


class Directory:
    """The ids that are known, and the release and settings of Airflow."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.version = ""
        """Airflow's release, for example 3.3.2; empty while it is not known."""
        self.metrics: Mapping[str, str] = {}
        """The section `[metrics]` of Airflow's configuration, if the API exposes it."""
        self.dag_ids: frozenset[str] | None = None
        """All DAGs that were listed within the last day; None before the first list."""
        self.revision = 0
        """Grows when StatsD names may resolve differently: after new ids with dots, another release or settings."""
        self.polls = 0
        """The number of polls that recorded all active tries, and all that finished after the poll before."""
        self.growing_tasks: Mapping[tuple[str, str], MemoryGrowth] = {}
        """How the peak memory of tasks on this machine has grown, by DAG and task."""
        self.read_parse_durations: Callable[[], Mapping[tuple[str, str], float]] = dict
        """Returns the seconds that the last parse of each DAG file took, by bundle and path, where StatsD says it."""
        self.queues: frozenset[str] = frozenset()
        """Queues of the active task instances."""
        self.workers: Mapping[str, Workers] | None = None
        """The workers of each queue that has any; None where they are not known."""
        self.find_clients: ClientFinder = find_no_clients
        """Finds the components of clients of the metadata database; set by the host source."""
        self.task_hosts: Mapping[str, str] = {}
        """The names of the machines on which tasks run now, as Airflow has them, by UUID (Airflow 2: by name)."""
        self.observed_tries = ObservedTries()
        self._database: tuple[float, DatabaseFacts] | None = None
        self._diagnosis = Diagnosis(0.0)
        self._machine: tuple[float, Machine] | None = None
        self._shares: dict[tuple[str, str], tuple[float, float]] = {}
        self._try_cpu: dict[str, float] = {}
        self._failed_logs: dict[str, Mapping[str, str]] = {}
        self._memory_kills: tuple[MemoryKill, ...] = ()
        self._costs: dict[str, Sequence[CostFinding]] = {}
        self._files: Mapping[tuple[str, str], str] = {}
        self._listed_files: dict[str, frozenset[tuple[str, str]]] = {}
        self._clock = clock
        self._listed: dict[str, float] = {}
        self._tasks: dict[str, set[str]] = {}
        self._tries: OrderedDict[str, TaskKey] = OrderedDict()

    def set_version(self, version: str) -> None:
        """Set Airflow's release."""
        if version != self.version:
            self.version = version
            self.revision += 1

    def set_metrics_config(self, metrics: Mapping[str, str]) -> None:
        """Set the section `[metrics]` of Airflow's configuration."""
        if metrics != self.metrics:
            self.metrics = dict(metrics)
            self.revision += 1

    def set_dags(self, dag_ids: Iterable[str]) -> None:
        """Set the list of all DAGs. A DAG that was not listed for a day is forgotten, with its task ids."""
        now = self._clock()
        self._listed = {dag_id: moment for dag_id, moment in self._listed.items() if now - moment < DAG_LIFETIME}
        self._listed |= dict.fromkeys(dag_ids, now)
        known = frozenset(self._listed)
        if known != self.dag_ids:
            self.revision += self.dag_ids is None or any("." in dag_id for dag_id in known ^ self.dag_ids)
            self.dag_ids = known
            self._tasks = {dag_id: tasks for dag_id, tasks in self._tasks.items() if dag_id in known}
            self._failed_logs = {dag_id: urls for dag_id, urls in self._failed_logs.items() if dag_id in known}

    def set_files(self, origin: str, files: Iterable[tuple[str, str]]) -> None:
        """Set bundle and path of the DAG files in a list `origin` (DAGs, import errors); on 2.x the bundle is empty."""
        self._listed_files[origin] = frozenset(files)
        found: dict[tuple[str, str], str] = {}
        for bundle, path in frozenset().union(*self._listed_files.values()):
            for name in (path.rpartition("/")[2], NOT_IN_STATSD.sub("_", path)):
                for key in ((bundle, name), ("", name)):
                    found[key] = path if found.get(key, path) == path else ""
        spelled = {key: path for key, path in found.items() if path not in ("", key[1])}
        if spelled != self._files:
            self._files = spelled
            self.revision += 1

    def get_file_path(self, bundle: str, name: str) -> str:
        """The path of the DAG file with this name in a bundle (in any, if it is empty); the name if that is not unique.

        The name may be the whole path as StatsD tags have it: `sales_orders.py` for `sales/orders.py`.
        """
        return self._files.get((bundle, name), name)

    @property
    def diagnosis(self) -> Diagnosis | None:
        """The newest diagnosis; None before it was known what waits, or what holds up the database."""
        diagnosis = add_obstacle(self._diagnosis, self.get_database())
        return diagnosis if diagnosis.time else None

    def record_machine(self, machine: Machine) -> None:
        """Record what is seen of the machine that the exporter runs on."""
        self._machine = (self._clock(), machine)

    def get_machine(self) -> Machine | None:
        """What was seen of the machine a moment ago; None if it is not read."""
        seen = self._machine
        return seen[1] if seen is not None and self._clock() - seen[0] <= MAX_MACHINE_AGE else None

    def measure_slots(self) -> Sequence[HostSizing]:
        """What a slot costs, and how many more there is room for: on this machine, and on others where tasks run."""
        # Only somebody who looks needs it, and an exporter on a worker must stay small.
        from exporter.diagnosis.costs.sizing import size_hosts  # noqa: PLC0415

        return size_hosts(self.observed_tries, self.task_hosts, is_current=self.get_machine() is not None)

    def record_database(self, facts: DatabaseFacts) -> None:
        """Record what is seen of the metadata database."""
        self._database = (self._clock(), facts)

    def get_database(self) -> DatabaseFacts | None:
        """What was seen of the metadata database a moment ago; None if it is not read."""
        seen = self._database
        return seen[1] if seen is not None and self._clock() - seen[0] <= MAX_DATABASE_AGE else None

    def record_cpu(self, task: tuple[str, str], cpu_seconds: float, seconds: float) -> None:
        """Record the CPU that a try used in its time. Older tries count less and less."""
        known = self._shares.pop(task, (0.0, 0.0))
        if len(self._shares) >= MAX_SHARES:
            self._shares.pop(next(iter(self._shares)))
        self._shares[task] = (known[0] / 2 + cpu_seconds, known[1] / 2 + seconds)

    def get_cpu_share(self, dag_id: str, task_id: str) -> float | None:
        """The share of one CPU that the last tries of a task used; None if none was seen."""
        cpu_seconds, seconds = self._shares.get((dag_id, task_id), (0.0, 0.0))
        return cpu_seconds / seconds if seconds > 0 else None

    def record_try_cpu(self, uuid: str, cpu_seconds: float) -> None:
        """Record the CPU that a try used until it ended, for the source that knows how long it took."""
        if len(self._try_cpu) >= MAX_SHARES:
            # Another thread takes entries meanwhile: copy() is one step.
            self._try_cpu = dict(list(self._try_cpu.copy().items())[MAX_SHARES // 2 :])
        self._try_cpu[uuid] = cpu_seconds

    def take_try_cpu(self, uuid: str) -> float | None:
        """The CPU that a try used, once; None if it is not known."""
        return self._try_cpu.pop(uuid, None)

    def record_memory_kill(self, kill: MemoryKill) -> None:
        """Record that the kernel probably killed a process of a try for lack of memory."""
        self._memory_kills = (*self._memory_kills, kill)[-MAX_MEMORY_KILLS:]

    def has_memory_kill(self, task: TaskKey, since: float, until: float) -> bool:
        """Whether such a kill concerns a task between two times, in Unix seconds."""
        return any(
            since <= kill.when <= until and (kill.named or self.find_try(kill.uuid)) == task
            for kill in self._memory_kills
        )

    def record_findings(self, when: float, findings: Sequence[Finding]) -> None:
        """Record what waits and why, as read at a time (Unix seconds)."""
        self._diagnosis = self._diagnosis._replace(time=when, findings=findings)

    def record_failures(self, failures: Sequence[FailureFinding], newest: Sequence[FailedTry]) -> None:
        """Record what fails, and the last tries that failed."""
        self._diagnosis = self._diagnosis._replace(failures=failures, failed_tries=newest)

    def record_costs(self, costs: Sequence[CostFinding], origin: str = "costs") -> None:
        """Record what costs more than it needs to, as far as one reader (`origin`) knows it."""
        self._costs[origin] = costs
        merged = sorted(chain.from_iterable(self._costs.values()), key=lambda one: one.seconds, reverse=True)
        self._diagnosis = self._diagnosis._replace(costs=merged)

    def record_failed_logs(self, dag_id: str, urls: Mapping[str, str]) -> None:
        """Record where the log of the last failed try of each task of a DAG is, the last one first."""
        self._failed_logs[dag_id] = urls

    def find_failed_log(self, dag_id: str, task_id: str = "") -> str:
        """The URL of the log of the last failed try of a task, or of any task of the DAG; empty if none is known."""
        urls = self._failed_logs.get(dag_id, {})
        return urls.get(task_id, "") if task_id else next(iter(urls.values()), "")

    def record_growth(self, growing: Mapping[tuple[str, str], MemoryGrowth]) -> None:
        """Record how the peak memory of tasks on this machine has grown."""
        self.growing_tasks = growing

    def set_queues(self, queues: Iterable[str]) -> None:
        """Set the queues of the active task instances."""
        self.queues = frozenset(queues)

    def set_workers(self, workers: Mapping[str, Workers] | None) -> None:
        """Set the workers of each queue."""
        self.workers = workers

    def record_poll(self) -> None:
        """Record that all tries which Airflow returns now were recorded."""
        self.polls += 1

    def record_try(self, dag_id: str, task_id: str, uuid: str | None = None) -> None:
        """Record a task instance, with its UUID if Airflow returns one (3.x)."""
        tasks = self._tasks.setdefault(dag_id, set())
        if task_id not in tasks and len(tasks) < MAX_TASKS_PER_DAG:
            tasks.add(task_id)
            self.revision += "." in dag_id or "." in task_id
        if uuid and uuid in self._tries:
            self._tries.move_to_end(uuid)
        elif uuid:
            if len(self._tries) >= MAX_TRIES:
                self._tries.popitem(last=False)
            # Each reply has its own copy of the same ids.
            self._tries[uuid] = TaskKey(intern(dag_id), intern(task_id))

    def tasks(self, dag_id: str) -> frozenset[str]:
        """The task ids of a DAG that were seen; there may be more."""
        return frozenset(self._tasks.get(dag_id, ()))

    def has_task(self, dag_id: str, task_id: str) -> bool:
        """Whether a task instance of this task was seen."""
        return task_id in self._tasks.get(dag_id, ())

    def find_try(self, uuid: str) -> TaskKey | None:
        """The task of the try with this UUID; None if the try was not seen."""
        return self._tries.get(uuid)
