"""What one source knows of ids and of Airflow itself that the other sources need.

The Airflow source fills it; StatsD resolves dotted names by it, the host source names tasks by it. Where the API is off
it stays empty, and every part of it says "not known". Pieces are replaced whole or only grow, so any thread may read.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from exporter.diagnosis.findings import Diagnosis

TASKS_OF_DAG = 5_000
"""How many task ids of one DAG are remembered."""
TRIES = 100_000
"""How many tries are remembered by UUID: the oldest are forgotten first."""
DAG_KEPT = 86_400.0
"""For how many seconds a DAG is known that lists lack: a list may be short for a moment."""


NOT_IN_STATSD = re.compile(r"[^a-zA-Z0-9_.-]")
"""What Airflow replaces by an underscore in the names that it sends by StatsD."""


class Named(NamedTuple):
    """The task that a try belongs to."""

    dag_id: str
    task_id: str


class Directory:
    """Ids that are known to exist, and which Airflow they belong to."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.version = ""
        """Airflow's release, for example 3.3.2; empty while it is not known."""
        self.metrics: Mapping[str, str] = {}
        """Section `[metrics]` of Airflow's configuration, where `/config` shows it."""
        self.dag_ids: frozenset[str] | None = None
        """All DAGs that were listed within the last day; None while they are not known."""
        self.spelling = 0
        """Grows whenever names that hold ids may have to be read otherwise: by ids with dots, release or settings."""
        self.polls = 0
        """How often all tries were told of that were active, or had ended since the poll before."""
        self.diagnosis: Diagnosis | None = None
        """The newest diagnosis of what waits; None before the first."""
        self._files: Mapping[tuple[str, str], str] = {}
        self._listed_files: dict[str, frozenset[tuple[str, str]]] = {}
        self._clock = clock
        self._listed: dict[str, float] = {}
        self._tasks: dict[str, set[str]] = {}
        self._tries: dict[str, Named] = {}

    def tell_version(self, version: str) -> None:
        """Airflow's release was read."""
        if version != self.version:
            self.version = version
            self.spelling += 1

    def tell_metrics(self, metrics: Mapping[str, str]) -> None:
        """Airflow's settings of metrics were read."""
        if metrics != self.metrics:
            self.metrics = dict(metrics)
            self.spelling += 1

    def tell_dags(self, dag_ids: Iterable[str]) -> None:
        """The list of all DAGs was read; those that lists have lacked for a day are forgotten, with their task ids."""
        now = self._clock()
        self._listed = {dag_id: moment for dag_id, moment in self._listed.items() if now - moment < DAG_KEPT}
        self._listed |= dict.fromkeys(dag_ids, now)
        known = frozenset(self._listed)
        if known != self.dag_ids:
            self.spelling += self.dag_ids is None or any("." in dag_id for dag_id in known ^ self.dag_ids)
            self.dag_ids = known
            self._tasks = {dag_id: tasks for dag_id, tasks in self._tasks.items() if dag_id in known}

    def tell_files(self, origin: str, files: Iterable[tuple[str, str]]) -> None:
        """Bundle and path of each DAG file were read from a list (DAGs, import errors); the bundle is empty on 2.x."""
        self._listed_files[origin] = frozenset(files)
        found: dict[tuple[str, str], str] = {}
        for bundle, path in frozenset().union(*self._listed_files.values()):
            for name in (path.rpartition("/")[2], NOT_IN_STATSD.sub("_", path)):
                for key in ((bundle, name), ("", name)):
                    found[key] = path if found.get(key, path) == path else ""
        spelled = {key: path for key, path in found.items() if path not in ("", key[1])}
        if spelled != self._files:
            self._files = spelled
            self.spelling += 1

    def find_file(self, bundle: str, name: str) -> str:
        """The path of the one DAG file of that name in the bundle (anywhere, where that is empty); else the name.

        The name may be the whole path as Airflow writes it in StatsD's tags, `sales_orders.py` for `sales/orders.py`.
        """
        return self._files.get((bundle, name), name)

    def record_diagnosis(self, diagnosis: Diagnosis) -> None:
        """What waits, and why, was worked out."""
        self.diagnosis = diagnosis

    def tell_poll(self) -> None:
        """All tries that Airflow shows now were recorded."""
        self.polls += 1

    def tell_try(self, dag_id: str, task_id: str, uuid: str | None = None) -> None:
        """Record a task instance, with its UUID if Airflow has one (3.x)."""
        tasks = self._tasks.setdefault(dag_id, set())
        if task_id not in tasks and len(tasks) < TASKS_OF_DAG:
            tasks.add(task_id)
            self.spelling += "." in dag_id or "." in task_id
        if uuid and uuid not in self._tries:
            if len(self._tries) >= TRIES:
                self._tries.pop(next(iter(self._tries)))
            self._tries[uuid] = Named(dag_id, task_id)

    def tasks(self, dag_id: str) -> frozenset[str]:
        """The task ids of a DAG, as far as they were seen; a DAG's are never known to be complete."""
        return frozenset(self._tasks.get(dag_id, ()))

    def has_task(self, dag_id: str, task_id: str) -> bool:
        """Whether a task instance of that task was seen."""
        return task_id in self._tasks.get(dag_id, ())

    def find_try(self, uuid: str) -> Named | None:
        """The task of the try with this UUID; None if none with it was seen."""
        return self._tries.get(uuid)
