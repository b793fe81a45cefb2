"""What one reader of an Airflow finds out that other readers, and other sources, need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from exporter.diagnosis.report import FailedTry
from exporter.events.writer import EventWriter
from exporter.metrics.family import Labels
from exporter.sources.airflow.api.objects.dag_runs import DagRun
from exporter.sources.airflow.api.objects.dags import Dag
from exporter.sources.airflow.api.objects.pools import Pool
from exporter.sources.airflow.api.objects.task_instances import TaskInstance
from exporter.sources.airflow.counting.decision import EndedTry, TerminalState
from exporter.sources.airflow.ended_log import EndedLog
from exporter.sources.airflow.waits.by_try import TryWaits
from exporter.sources.directory import Directory

if TYPE_CHECKING:
    from exporter.diagnosis.waits.assets import AssetState
    from exporter.sources.airflow.readers.history import DagHistory


@dataclass(slots=True)
class AirflowState:
    """Each piece is replaced whole by its reader; None where it was not read yet."""

    dags: Mapping[str, Dag] | None = None
    live_schedulers: int | None = None
    active_runs: frozenset[tuple[str, str]] = frozenset()
    """Runs that are queued or running, by DAG and run id."""
    cleared: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """When tasks of active runs were last cleared, by DAG and run id, in Unix seconds (3.2 on)."""
    directory: Directory = field(default_factory=Directory)
    """What other sources need."""
    backfilled: Mapping[Labels, float] = field(default_factory=dict)
    """Active backfill runs by DAG and state."""
    active_tasks: Sequence[TaskInstance] | None = None
    """Task instances that were active when they were last read."""
    tasks_read_at: float = 0.0
    """When that was, in Unix seconds by the clock of Airflow's server."""
    active_dag_runs: Sequence[DagRun] = ()
    """Runs that were queued or running when they were last read."""
    pools: Mapping[str, Pool] | None = None
    broken_files: frozenset[tuple[str, str]] = frozenset()
    """Bundle and path of the DAG files that cannot be imported."""
    assets: Sequence[AssetState] = ()
    """Assets, with the DAGs that they schedule and the tasks that update them."""
    histories: Mapping[str, DagHistory] = field(default_factory=dict)
    """What is remembered of the finished runs of each DAG."""
    live_triggerers: int | None = None
    triggerer_capacity: float | None = None
    """How many triggers each triggerer runs at once."""
    scheduler_parallelism: float | None = None
    """Slots of each executor for one scheduler; infinite where unlimited."""
    executors: Sequence[str] = ()
    """Class names of the executors, the default one first."""
    executor_aliases: Mapping[str, str] = field(default_factory=dict)
    """Class names of executors by the alias that tasks call them by."""
    ended_tries: EndedLog[EndedTry] = field(default_factory=EndedLog)
    """Tries that ended, with their outcome, as they were counted."""
    failed_tries: EndedLog[FailedTry] = field(default_factory=EndedLog)
    """Failed tries, once their class is known."""
    ended_runs: EndedLog[DagRun] = field(default_factory=EndedLog)
    """Runs that ended, as they were counted."""
    terminal_states: EndedLog[TerminalState] = field(default_factory=EndedLog)
    """Task instances that reached a terminal state, as they were counted; most of them are in `ended_tries` too."""
    events: EventWriter | None = None
    """Writes what ended to the events file; None without one."""
    try_waits: TryWaits = field(default_factory=TryWaits)
    """How long tries waited, by reason; only with an events file."""
    backfill_limits: Mapping[str, int] = field(default_factory=dict)
    """max_active_runs of unfinished backfills by DAG; 0 where all of them are paused."""

    @property
    def parallelism(self) -> float | None:
        """Slots of each executor over all schedulers that live now; infinite where unlimited.

        None where that is not known, or no scheduler lives: then no number of slots would help. Where schedulers
        cannot be counted (2.x) there is one.
        """
        if self.scheduler_parallelism is None or self.live_schedulers == 0:
            return None
        return self.scheduler_parallelism * (self.live_schedulers or 1)


def find_cleared(active: Iterable[DagRun]) -> dict[tuple[str, str], float]:
    """When tasks of a run were last cleared: Airflow then renews `queued_at`, though the run goes on (3.2 on)."""
    return {
        (run.dag_id, run.run_id): run.queued_at
        for run in active
        if run.queued_at is not None and run.start_date is not None and run.queued_at > run.start_date
    }
