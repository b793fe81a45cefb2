"""What one reading counts: the counters' changes, and what has to be remembered of it, read and written together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from exporter.metrics.catalogue.api import failures
from exporter.metrics.reading import Change, Memory
from exporter.sources.airflow.failing import retry_counts
from exporter.sources.airflow.failing.backlog import BacklogEntry
from exporter.sources.airflow.failing.log_reader import Verdict
from exporter.sources.airflow.failing.recent import RecentFailure, make_recent, recall_recent, write_recent
from exporter.sources.airflow.failing.retries import (
    RETENTION,
    RETRIED_SPACE,
    RetriedTry,
    follow_up,
    recall_retried,
    write_retried,
)
from exporter.sources.airflow.failing.retry_counts import (
    COUNTS_SPACE,
    Counts,
    count_next_try,
    count_without_retries,
    recall_counts,
    write_counts,
)


@dataclass(slots=True)
class Account:
    """The counts of one reading. Nothing of it lasts unless what `write` returns is committed."""

    now: float
    """Unix seconds, by Airflow's clock."""
    exception_labels: bool
    retried: dict[bytes, RetriedTry]
    """Failed tries whose next try has not ended, by task instance."""
    counts: Counts
    recent: dict[bytes, RecentFailure]
    """Failed tries of the last hour, by the key of the try; `write` adds those of this reading."""
    _before: tuple[Mapping[bytes, RetriedTry], Mapping[bytes, retry_counts.SavedCount], Mapping[bytes, RecentFailure]]
    new: dict[bytes, RecentFailure] = field(default_factory=dict)
    """Failed tries whose class became known in this reading."""
    changes: list[Change] = field(default_factory=list)

    def count(self, key: bytes, task_instance: bytes, entry: BacklogEntry, verdict: Verdict | None) -> None:
        """Count a try that ended; a failed one has a verdict."""
        before = self.retried.pop(task_instance, None)
        self.changes += follow_up(entry, before)
        count_next_try(self.counts, entry, before)
        if verdict is None:
            return
        self._count_failure(entry, verdict)
        count_without_retries(self.counts, entry, verdict.error_class)
        self.new[key] = make_recent(entry, verdict.error_class, self.now)
        if entry.retried:
            self.retried[task_instance] = RetriedTry(verdict.error_class, entry.try_number, entry.end_date)

    def _count_failure(self, entry: BacklogEntry, verdict: Verdict) -> None:
        labels = (entry.dag_id, verdict.error_class)
        self.changes.append(Change(failures.FAILED_BY_CLASS, labels))
        if entry.retried:
            self.changes.append(Change(failures.RETRIED_BY_CLASS, labels))
        if verdict.outcome is not None:
            self.changes.append(Change(failures.LOGS_READ, (verdict.outcome,)))
        if self.exception_labels:
            self.changes.append(Change(failures.FAILED_BY_EXCEPTION, (*labels, verdict.exception)))

    def write(self) -> dict[str, dict[bytes, bytes | None]]:
        """The state file's entries for what changed."""
        retried, counts, recent = self._before
        self.recent, entries = write_recent(recent, self.new, self.now)
        return {**write_retried(retried, self.retried), **write_counts(counts, self.counts), **entries}

    @property
    def forget(self) -> dict[str, float]:
        """Before which time what was written last is forgotten, by space."""
        return {RETRIED_SPACE: self.now - RETENTION, COUNTS_SPACE: self.now - retry_counts.RETENTION}


def recall_account(memory: Memory, now: float, *, idle: bool, exception_labels: bool) -> Account:
    """An account that begins with what the last committed reading remembered; `idle` if there is nothing to count."""
    retried = {} if idle else recall_retried(memory)
    counts, recent = recall_counts(memory), recall_recent(memory)
    before = (dict(retried), dict(counts), dict(recent))
    return Account(now, exception_labels, retried, counts, recent, before)
