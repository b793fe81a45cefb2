"""DAGs that were unpaused after Airflow last listed them as paused."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from msgspec.structs import replace

from exporter.sources.airflow.api.objects.dag_runs import DagRun
from exporter.sources.airflow.api.objects.dags import Dag
from exporter.sources.airflow.api.objects.task_instances import TaskInstance


class UnpausedDags:
    """Corrects the list of DAGs by what the scheduler does: it queues no task and starts no run of a paused DAG.

    The list may be a minute old, and a DAG that runs again would be called paused until the next one.
    """

    def __init__(self) -> None:
        self._listed: Mapping[str, Dag] | None = None
        self._listed_at = 0.0

    def correct(
        self, dags: Mapping[str, Dag] | None, tasks: Iterable[TaskInstance], runs: Collection[DagRun], now: float
    ) -> Mapping[str, Dag] | None:
        """The DAGs as they are at a time (Unix seconds): those of which something began after the list are unpaused."""
        if dags is not self._listed:
            self._listed, self._listed_at = dags, now
        if dags is None:
            return None
        begun = set(find_begun(tasks, runs, self._listed_at))
        stale = [dags[dag_id] for dag_id in begun if dag_id in dags and dags[dag_id].is_paused]
        return {**dags, **{dag.dag_id: replace(dag, is_paused=False) for dag in stale}} if stale else dags


def find_begun(tasks: Iterable[TaskInstance], runs: Collection[DagRun], since: float) -> Iterator[str]:
    """The DAGs of which the scheduler queued a task or started a run after a time (Unix seconds).

    A backfill of Airflow 2 is left out: it runs though its DAG is paused.
    """
    backfilled = {(run.dag_id, run.run_id) for run in runs if run.run_type == "backfill"}
    for task in tasks:
        if (task.queued_when or 0.0) > since and (task.dag_id, task.run_id) not in backfilled:
            yield task.dag_id
    for run in runs:
        if run.state == "running" and (run.start_date or 0.0) > since and run.run_type != "backfill":
            yield run.dag_id
