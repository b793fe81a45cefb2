"""What an event of a task instance adds to which counter and histogram."""

from __future__ import annotations

from collections.abc import Iterator

from exporter.config.dag_filter import Scope
from exporter.metrics.catalogue.api import tasks as catalogue
from exporter.metrics.reading import Change
from exporter.sources.airflow.api.models import TaskInstance
from exporter.sources.airflow.counting.rows import Ended, Event, Fate, Outcome, Unaccounted


def count(event: Event, scope: Scope) -> Iterator[Change]:
    """The changes that an event makes."""
    match event:
        case Outcome(row, state):
            yield count_outcome(row, state, scope)
        case Ended(row, fate):
            yield from count_try(row, fate, scope)
            yield from count_waits(row)
        case Unaccounted(dag_id, task_id, reason):
            labels = (dag_id, scope.task(task_id))
            yield Change(catalogue.TRIES, labels)
            yield Change(catalogue.TRIES_CLEARED, labels)
            yield Change(catalogue.UNACCOUNTED, (reason,))


def count_outcome(row: TaskInstance, state: str, scope: Scope) -> Change:
    if state in ("success", "failed"):
        return Change(catalogue.FINISHED, (row.dag_id, scope.task(row.task_id), state))
    return Change(catalogue.NOT_RUN, (row.dag_id, state))


def count_try(row: TaskInstance, fate: Fate, scope: Scope) -> Iterator[Change]:
    labels = (row.dag_id, scope.task(row.task_id))
    seconds = max(0.0, (row.end_date or 0.0) - (row.start_date or 0.0))
    yield Change(catalogue.TRIES, labels)
    yield Change(catalogue.RUN_SECONDS, labels, seconds)
    match fate:
        case Fate.SUCCESS:
            if scope.task_labels:
                yield Change(catalogue.DURATION, (row.dag_id,), seconds)
            if scope.has_task_histograms(row.dag_id):
                yield Change(catalogue.TASK_DURATION, (row.dag_id, row.task_id), seconds)
        case Fate.CLEARED:
            yield Change(catalogue.TRIES_CLEARED, labels)
        case Fate.FAILED | Fate.RETRIED:
            yield Change(catalogue.TRIES_FAILED, labels)
            yield Change(catalogue.FAILED_SECONDS, labels, seconds)
    if fate is Fate.RETRIED:
        yield Change(catalogue.RETRIES, labels)


def count_waits(row: TaskInstance) -> Iterator[Change]:
    """The waits of a try that ran, or why they cannot be told.

    A deferred try is queued anew when it resumes, after its start: then both its waits are lost.
    """
    scheduled, queued, started = row.scheduled_when, row.queued_when, row.start_date
    if queued is None or started is None or queued > started:
        reason = "unknown" if queued is None or started is None else "renewed"
        yield Change(catalogue.WAIT_UNOBSERVABLE, ("queued", reason))
        yield Change(catalogue.WAIT_UNOBSERVABLE, ("scheduled", reason))
        return
    yield Change(catalogue.QUEUED_DURATION, (row.queue,), started - queued)
    yield Change(catalogue.DAG_QUEUED_SECONDS, (row.dag_id,), started - queued)
    yield Change(catalogue.DAG_QUEUED_TRIES, (row.dag_id,))
    if scheduled is None or scheduled > queued:
        yield Change(catalogue.WAIT_UNOBSERVABLE, ("scheduled", "unknown" if scheduled is None else "renewed"))
        return
    yield Change(catalogue.SCHEDULED_DURATION, (row.pool,), queued - scheduled)
    yield Change(catalogue.DAG_SCHEDULED_SECONDS, (row.dag_id,), queued - scheduled)
    yield Change(catalogue.DAG_SCHEDULED_TRIES, (row.dag_id,))
