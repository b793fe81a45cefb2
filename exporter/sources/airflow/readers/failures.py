"""The reader of failures: it gives each failed try its class, and follows what becomes of retries.

Which tries failed was found by the reader of task instances, which wrote them to the backlog. Nothing of a log is
kept: only the class.
"""

from __future__ import annotations

from exporter.diagnosis.error_classes import CLASSES, UNKNOWN
from exporter.metrics.catalogue.api import failures
from exporter.metrics.family import Family, Labels
from exporter.metrics.reading import Change, Memory, Reading
from exporter.sources.airflow.failing.backlog import (
    BACKLOG_SPACE,
    BacklogEntry,
    get_task_instance_key,
    recall_backlog,
)
from exporter.sources.airflow.failing.retries import (
    RETENTION,
    RETRIED_SPACE,
    RetriedTry,
    follow_up,
    recall_retried,
    write_retried,
)
from exporter.sources.airflow.reader import ApiReader, ReaderContext
from exporter.sources.airflow.shared import AirflowState


class FailuresReader(ApiReader):
    """Counts failed tries by class."""

    name = "failures"
    help = "Why tries fail, and whether retries help"
    families = (failures.CLASS_INFO,)
    needs = ("tasks",)

    def __init__(self, memory: Memory, shared: AirflowState, interval: float) -> None:
        self.interval = interval
        self._memory = memory
        self._shared = shared

    @classmethod
    def build(cls, context: ReaderContext, interval: float) -> FailuresReader:
        """A reader for the Airflow that is connected now."""
        return cls(context.memory, context.shared, interval)

    def read(self) -> Reading:
        """Count what ended since the last reading."""
        backlog = recall_backlog(self._memory)
        before = recall_retried(self._memory) if backlog else {}
        after = dict(before)
        changes: list[Change] = []
        for key, entry in backlog.items():
            task_instance = get_task_instance_key(key)
            changes += follow_up(entry, after.pop(task_instance, None))
            if entry.failed:
                changes += count_failure(entry, UNKNOWN.name)
            if entry.retried:
                after[task_instance] = RetriedTry(UNKNOWN.name, entry.try_number, entry.end_date)
        now = self._shared.tasks_read_at
        return Reading(
            tables=class_tables(),
            changes=changes,
            memories={BACKLOG_SPACE: dict.fromkeys(backlog), **write_retried(before, after)},
            notes=[f"{len(backlog)} tries ended, {sum(entry.failed for entry in backlog.values())} of them failed"],
            moment=now,
            forget={RETRIED_SPACE: now - RETENTION},
        )


def count_failure(entry: BacklogEntry, error_class: str) -> list[Change]:
    """The counters of a failed try."""
    labels = (entry.dag_id, error_class)
    counted = [Change(failures.FAILED_BY_CLASS, labels)]
    return [*counted, Change(failures.RETRIED_BY_CLASS, labels)] if entry.retried else counted


def class_tables() -> dict[Family, dict[Labels, float]]:
    """The family that describes the classes."""
    return {failures.CLASS_INFO: {(one.name, one.meaning, one.setting): 1 for one in CLASSES}}
