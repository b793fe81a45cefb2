"""What is known of DAGs that do not run: put together from the lists, with a few questions about single DAGs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from exporter.diagnosis.waits.assets import ProducerRun, list_producers
from exporter.diagnosis.waits.dags import AutoPause, Schedules
from exporter.sources.airflow.api.objects.dags import Dag
from exporter.sources.airflow.shared import AirflowState
from exporter.sources.airflow.waits.asks import Asks
from exporter.sources.airflow.waits.past import RunPast
from exporter.sources.airflow.waits.questions import QuestionBudget

PAUSE_LIFETIME = 86_400.0
"""Seconds for which it holds who paused a DAG."""
PRODUCER_LIFETIME = 600.0
"""Seconds for which it holds how the last run of a producer ended, while no other run of it ends."""
MAX_PAUSES_PER_READING = 5
MAX_PRODUCERS_PER_READING = 5
"""DAGs that are asked for in one reading, of each kind."""


class DagFacts:
    """Gathers what is known of DAGs, and remembers when they were listed."""

    def __init__(self, questions: QuestionBudget, asks: Asks, shared: AirflowState, *, complete: bool) -> None:
        """`complete` says whether all DAGs are read, none left out by a filter."""
        self._questions = questions
        self._asks = asks
        self._shared = shared
        self._complete = complete
        self._runs = RunPast()
        self._seen: Mapping[str, Dag] | None = None
        self._listed_at = 0.0
        """When the DAGs were listed, in Unix seconds by Airflow's clock."""
        self._unpaused: dict[str, float] = {}
        """When a DAG that had been paused or unknown was first listed as one that may run, in Unix seconds."""

    def gather(self, now: float) -> Schedules | None:
        """What is known at a time (Unix seconds); None before the DAGs were listed."""
        shared = self._shared
        if shared.dags is None:
            return None
        if shared.dags is not self._seen:
            self._note_unpaused(self._seen, shared.dags, now)
            self._seen, self._listed_at = shared.dags, now
        self._runs.take(shared.ended_runs, shared.active_dag_runs, shared.dags)
        return Schedules(
            now=self._listed_at,
            dags=shared.dags,
            runs=shared.active_dag_runs,
            broken_files=shared.broken_files,
            auto_paused=dict(self._find_auto_paused(shared.dags)),
            periods=self._runs.periods,
            newest=self._runs.newest,
            durations=self._runs.get_durations(),
            skipped=self._runs.count_skipped,
            freed=self._find_freed(shared.dags),
            assets=shared.assets,
            producer_runs=self._find_failed_producers(shared.dags),
            complete=self._complete,
            counts_backfills=self._shared.directory.version.startswith("2."),
        )

    def _note_unpaused(self, before: Mapping[str, Dag] | None, dags: Mapping[str, Dag], now: float) -> None:
        if before is not None:
            opened = (dag_id for dag_id, dag in dags.items() if not dag.is_paused and is_closed(before.get(dag_id)))
            self._unpaused = {dag_id: when for dag_id, when in self._unpaused.items() if dag_id in dags}
            self._unpaused.update(dict.fromkeys(opened, now))

    def _find_freed(self, dags: Mapping[str, Dag]) -> dict[str, float]:
        """When what held up the next run of a DAG was over: its last run ended, or it was unpaused."""
        ended = {dag_id: one.last_end for dag_id, one in self._shared.histories.items() if one.last_end is not None}
        return {
            dag_id: max(ended.get(dag_id, 0.0), self._unpaused.get(dag_id, 0.0))
            for dag_id in dags
            if dag_id in ended or dag_id in self._unpaused
        }

    def _find_auto_paused(self, dags: Mapping[str, Dag]) -> dict[str, AutoPause]:
        """The DAGs that the scheduler paused."""
        found = {}
        for dag_id, dag in dags.items():
            if not dag.max_consecutive_failed_dag_runs or dag.is_stale:
                continue
            history = self._shared.histories.get(dag_id)
            # A DAG that was unpaused may be paused again before the next list: then a run of it has ended since.
            key = (dag_id, history.last_end if history is not None else None)
            if not dag.is_paused:
                self._questions.forget("pause", key)
                continue
            failed = history.consecutive_failed if history is not None else 0
            answer = self._questions.ask(
                "pause",
                key,
                partial(self._asks.last_pause, dag_id),
                lifetime=PAUSE_LIFETIME,
                at_most=MAX_PAUSES_PER_READING,
            )
            if answer is not None and answer.value is not None and answer.value.is_automatic:
                found[dag_id] = AutoPause(answer.value.when, failed)
            elif "pause" in self._questions.refused and failed >= dag.max_consecutive_failed_dag_runs:
                found[dag_id] = AutoPause(None, failed)
        return found

    def _find_failed_producers(self, dags: Mapping[str, Dag]) -> dict[str, ProducerRun]:
        """The last run of each DAG that updates assets, where it failed."""
        found = {}
        for dag_id in sorted(list_producers(self._shared.assets)):
            history = self._shared.histories.get(dag_id)
            if dag_id not in dags or (history is not None and history.last_state == "success"):
                continue
            answer = self._questions.ask(
                "producer",
                (dag_id, history.last_end if history is not None else None),
                partial(self._read_failed, dag_id),
                lifetime=PRODUCER_LIFETIME,
                at_most=MAX_PRODUCERS_PER_READING,
            )
            if answer is not None and answer.value is not None:
                found[dag_id] = answer.value
        return found

    def _read_failed(self, dag_id: str) -> ProducerRun | None:
        """The newest run of a DAG that ended, if it failed. Raises ReaderError."""
        for run in self._asks.newest_runs(dag_id):
            if run.state in ("queued", "running"):
                return None
            if run.end_date is not None:
                failed = run.state == "failed" and run.start_date is not None
                return ProducerRun(run.run_id, run.start_date or 0.0, run.end_date) if failed else None
        return None


def is_closed(dag: Dag | None) -> bool:
    """Whether a DAG may not run: it is paused, or Airflow does not find it."""
    return dag is None or dag.is_paused or dag.is_stale
