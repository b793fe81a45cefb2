"""The reader of approvals: tasks that wait for a person (human in the loop)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

from exporter.config.dag_filter import DagFilter
from exporter.metrics.catalogue.api import tasks
from exporter.metrics.family import Family, Labels
from exporter.metrics.reading import Reading
from exporter.sources.airflow.api.objects.approvals import CHECK, Approval, read_pending_approvals
from exporter.sources.airflow.reader import SLOW_INTERVAL, ApiReader, ReaderContext


class ApprovalsReader(ApiReader):
    """Reads which tasks wait for an answer, and since when."""

    name = "approvals"
    help = "Human in the loop: tasks that wait for an approval or an answer (3.1 on)"
    families = (tasks.PENDING_APPROVALS, tasks.OLDEST_PENDING_APPROVAL)
    min_interval = SLOW_INTERVAL
    checks = (CHECK,)

    def __init__(
        self, read_pending_approvals: Callable[[], Sequence[Approval] | None], dag_filter: DagFilter, interval: float
    ) -> None:
        self.interval = interval
        self._read_pending_approvals = read_pending_approvals
        self._dag_filter = dag_filter

    @classmethod
    def build(cls, context: ReaderContext, interval: float) -> ApprovalsReader:
        """A reader for the Airflow that is connected now."""
        return cls(partial(read_pending_approvals, context.airflow), context.dag_filter, interval)

    def read(self) -> Reading:
        """Read once. Raises ReaderError."""
        found = self._read_pending_approvals()
        if found is None:
            return Reading(notes=["this Airflow's API has no approvals"])
        return Reading(approval_tables(self._dag_filter.select(found)))


def approval_tables(pending: Sequence[Approval]) -> dict[Family, dict[Labels, float]]:
    """The families of approvals that wait, by DAG."""
    oldest: dict[Labels, float] = {}
    for one in pending:
        if one.created_at is not None:
            labels = (one.dag_id,)
            oldest[labels] = min(one.created_at, oldest.get(labels, one.created_at))
    return {
        tasks.PENDING_APPROVALS: dict(Counter((one.dag_id,) for one in pending)),
        tasks.OLDEST_PENDING_APPROVAL: oldest,
    }
