"""The reader of backfills: it reads only those of DAGs that have active backfill runs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

from exporter.metrics.catalogue.api import runs
from exporter.metrics.family import Family, Labels
from exporter.metrics.reading import ReaderError, Reading
from exporter.sources.airflow.api.objects.backfills import CHECK, Backfill, read_backfills
from exporter.sources.airflow.counting.retry_later import RetryLater
from exporter.sources.airflow.reader import SLOW_INTERVAL, ApiReader, ReaderContext
from exporter.sources.airflow.shared import AirflowState


class BackfillsReader(ApiReader):
    """Reads the progress and the limits of unfinished backfills."""

    name = "backfills"
    help = "Backfills under way: their active runs and their own limit (3.x)"
    families = (runs.BACKFILL_RUNS, runs.BACKFILL_MAX_ACTIVE_RUNS, runs.BACKFILL_OLDEST_START)
    needs = ("runs",)
    min_interval = SLOW_INTERVAL
    checks = (CHECK,)

    def __init__(
        self,
        read_backfills: Callable[[str], Sequence[Backfill]],
        shared: AirflowState,
        interval: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.interval = interval
        self._read_backfills = read_backfills
        self._shared = shared
        self._later: RetryLater = RetryLater(clock)

    @classmethod
    def build(cls, context: ReaderContext, interval: float) -> BackfillsReader:
        """A reader for the Airflow that is connected now."""
        return cls(partial(read_backfills, context.airflow), context.shared, interval)

    def read(self) -> Reading:
        """Read once; a DAG whose backfills Airflow answers with an error is passed over. Raises ReaderError."""
        active = self._shared.backfilled
        dag_ids = sorted({labels[0] for labels in active})
        self._later.keep(dag_ids)
        found = [one for dag_id in filter(self._later.is_due, dag_ids) for one in self._ask(dag_id)]
        self._shared.backfill_limits = get_limits(found)
        tables = {runs.BACKFILL_RUNS: {**active}, **backfill_tables(found)}
        return Reading(tables, unanswered=self._later.messages())

    def _ask(self, dag_id: str) -> Sequence[Backfill]:
        try:
            found = self._read_backfills(dag_id)
        except ReaderError as error:
            if not self._later.pass_over(dag_id, error):
                raise
            return ()
        self._later.succeed(dag_id)
        return found


def get_limits(found: Sequence[Backfill]) -> dict[str, int]:
    """How many runs of its unfinished backfills each DAG may have at once; those of a paused one are not started."""
    limits: Counter[str] = Counter()
    for one in found:
        if one.completed_at is None:
            limits[one.dag_id] += 0 if one.is_paused else one.max_active_runs or 0
    return dict(limits)


def backfill_tables(found: Sequence[Backfill]) -> dict[Family, dict[Labels, float]]:
    """The families of backfills that are not completed."""
    limits: dict[Labels, float] = {}
    oldest: dict[Labels, float] = {}
    for one in found:
        if one.completed_at is not None:
            continue
        labels = (one.dag_id,)
        limits[labels] = limits.get(labels, 0) + (one.max_active_runs or 0)
        if one.created_at is not None:
            oldest[labels] = min(one.created_at, oldest.get(labels, one.created_at))
    return {runs.BACKFILL_MAX_ACTIVE_RUNS: limits, runs.BACKFILL_OLDEST_START: oldest}
