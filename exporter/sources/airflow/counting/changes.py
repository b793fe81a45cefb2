"""Turn counted events into changes of counters and histograms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from exporter.config.dag_filter import DagFilter
from exporter.metrics.catalogue.api import failures, tasks
from exporter.metrics.family import Family
from exporter.metrics.reading import Change
from exporter.sources.airflow.api.objects.task_instances import TaskInstance
from exporter.sources.airflow.counting.decision import CountedEvent, EndedTry, TerminalState, TryOutcome, UnaccountedTry

OUTCOME_COUNTERS: Mapping[TryOutcome, tuple[Family, ...]] = {
    TryOutcome.SUCCESS: (),
    TryOutcome.FAILED: (tasks.TRIES_FAILED, tasks.FAILED_SECONDS),
    TryOutcome.RETRIED: (tasks.TRIES_FAILED, tasks.FAILED_SECONDS, tasks.RETRIES),
    TryOutcome.CLEARED: (tasks.TRIES_CLEARED,),
    TryOutcome.SKIPPED: (),
}
"""What a try adds to by its outcome, beside `TRIES` and `RUN_SECONDS`. A successful one also has a duration."""


def to_changes(event: CountedEvent, dag_filter: DagFilter) -> Iterator[Change]:
    """The changes of counters and histograms that an event makes."""
    match event:
        case TerminalState(row, state):
            yield terminal_change(row, state, dag_filter)
        case EndedTry(row, outcome):
            yield from try_changes(row, outcome, dag_filter)
            yield from wait_changes(row, dag_filter)
        case UnaccountedTry(dag_id, task_id, reason):
            labels = (dag_id, dag_filter.task_label(task_id))
            yield Change(tasks.TRIES, labels)
            yield Change(tasks.TRIES_CLEARED, labels)
            yield Change(tasks.UNACCOUNTED, (reason,))


def terminal_change(row: TaskInstance, state: str, dag_filter: DagFilter) -> Change:
    """A task instance that finished (success, failed), or that did not run (skipped, upstream_failed, removed)."""
    if state in ("success", "failed"):
        return Change(tasks.FINISHED, (row.dag_id, dag_filter.task_label(row.task_id), state))
    return Change(tasks.NOT_RUN, (row.dag_id, state))


def try_changes(row: TaskInstance, outcome: TryOutcome, dag_filter: DagFilter) -> Iterator[Change]:
    """A try and how long it ran, from `start_date` to `end_date`."""
    labels = (row.dag_id, dag_filter.task_label(row.task_id))
    seconds = max(0.0, (row.end_date or 0.0) - (row.start_date or 0.0))
    yield Change(tasks.TRIES, labels)
    yield Change(tasks.RUN_SECONDS, labels, seconds)
    for family in OUTCOME_COUNTERS[outcome]:
        yield Change(family, labels, seconds) if family is tasks.FAILED_SECONDS else Change(family, labels)
    if outcome is TryOutcome.SUCCESS:
        number = failures.TRY_NUMBERS[min(max(row.try_number, 1), len(failures.TRY_NUMBERS)) - 1]
        yield Change(failures.SUCCEEDED, (row.dag_id, number))
        if dag_filter.task_labels:
            yield Change(tasks.DURATION, (row.dag_id,), seconds)
        if dag_filter.has_task_histograms(row.dag_id):
            yield Change(tasks.TASK_DURATION, (row.dag_id, row.task_id), seconds)


def wait_changes(row: TaskInstance, dag_filter: DagFilter) -> Iterator[Change]:
    """How long a try waited to be queued and to start, or why that is unknown.

    A deferred try is queued again when it resumes. That is after its start, so both waits are lost.
    """
    scheduled, queued, started = row.scheduled_when, row.queued_when, row.start_date
    if queued is None or started is None or queued > started:
        reason = "unknown" if queued is None or started is None else "renewed"
        yield Change(tasks.WAIT_UNOBSERVABLE, ("queued", reason))
        yield Change(tasks.WAIT_UNOBSERVABLE, ("scheduled", reason))
        return
    per_task = dag_filter.has_task_waits(row.dag_id)
    if per_task:
        yield Change(tasks.TASK_QUEUED_DURATION, (row.dag_id, row.task_id), started - queued)
    yield Change(tasks.QUEUED_DURATION, (row.queue,), started - queued)
    yield Change(tasks.DAG_QUEUED_SECONDS, (row.dag_id,), started - queued)
    yield Change(tasks.DAG_QUEUED_TRIES, (row.dag_id,))
    if scheduled is None or scheduled > queued:
        yield Change(tasks.WAIT_UNOBSERVABLE, ("scheduled", "unknown" if scheduled is None else "renewed"))
        return
    if per_task:
        yield Change(tasks.TASK_SCHEDULED_DURATION, (row.dag_id, row.task_id), queued - scheduled)
    yield Change(tasks.SCHEDULED_DURATION, (row.pool,), queued - scheduled)
    yield Change(tasks.DAG_SCHEDULED_SECONDS, (row.dag_id,), queued - scheduled)
    yield Change(tasks.DAG_SCHEDULED_TRIES, (row.dag_id,))
