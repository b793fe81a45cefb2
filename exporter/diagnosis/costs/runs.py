"""What happened in each run: how long nothing of it ran, how many of its tries were short, whether it did any work."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from exporter.diagnosis.costs.rows import InstanceRow, RunRow, is_sensor

MAX_RUNS = 20_000
"""Runs that are remembered at once; the one that was seen first goes first."""
MAX_GAP_SECONDS = 60.0
"""A longer gap is a wait: for the run before, for a paused DAG, for a person."""
SETTLE_SECONDS = 60.0
"""How long after its end a run is judged: its last task instances may be read later than the run."""
IDLE_OPERATOR = re.compile("branch|shortcircuit|latestonly|sensor|emptyoperator|dummyoperator", re.IGNORECASE)
"""Operators that decide, wait or do nothing: a run in which nothing else ran did no work."""
MAX_SHORT_TASKS = 50
"""Tasks with short tries that are remembered of a run."""

RunKey = tuple[str, str]
"""DAG and run id."""


@dataclass(slots=True)
class RunRecord:
    """What is known of one run."""

    dag_id: str
    whole: bool = False
    """Whether it was seen from its start."""
    busy_until: float | None = None
    """Until when something of it ran, or when it started; None where that is not known."""
    tries: int = 0
    short_tries: int = 0
    short_tasks: Counter[str] = field(default_factory=Counter)
    """Its short tries by task."""
    worked: bool = False
    """Whether a task did more than decide or wait, or failed."""
    skipped: bool = False
    """Whether a task was skipped."""

    @property
    def did_nothing(self) -> bool:
        """Whether everything that could have been work was skipped."""
        return self.whole and self.skipped and not self.worked


class RunBook:
    """The runs that are active or ended a moment ago."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._runs: dict[RunKey, RunRecord] = {}
        self._ended: dict[RunKey, RunRow] = {}

    def begin(self, runs: Iterable[RunRow], now: float) -> None:
        """Note which runs started, and when. A run that started before the first call was not seen as a whole."""
        if self._since is None:
            self._since = now
        for run in runs:
            key = (run.dag_id, run.run_id)
            if key not in self._runs and run.start_date is not None:
                record = self._get(key)
                record.whole = run.start_date >= self._since
                record.busy_until = run.start_date

    def add_tries(
        self, rows: Sequence[InstanceRow], active: Iterable[InstanceRow]
    ) -> Iterator[tuple[InstanceRow, float]]:
        """Each try that ended, with the gap before it: the seconds in which nothing of its run ran.

        `active` are the task instances that still run: nothing is idle beside them.
        """
        running: dict[RunKey, float] = {}
        for row in active:
            if row.start_date is not None and row.state in ("running", "deferred"):
                key = (row.dag_id, row.run_id)
                running[key] = min(row.start_date, running.get(key, row.start_date))
        for row in sorted(rows, key=lambda row: row.start_date or 0.0):
            yield row, self._add_try(row, running.get((row.dag_id, row.run_id)))

    def _add_try(self, row: InstanceRow, running_since: float | None) -> float:
        record = self._get((row.dag_id, row.run_id))
        record.tries += 1
        busy_until = record.busy_until
        if row.end_date is not None:
            record.busy_until = max(row.end_date, busy_until or 0.0)
        if busy_until is None or not is_first_start(row):
            return 0.0
        ready = row.queued_when if row.scheduled_when is None else row.scheduled_when
        start = row.start_date or 0.0
        beside_others = start <= busy_until or (running_since is not None and running_since < start)
        if ready is None or beside_others:
            return 0.0
        gap = ready - busy_until
        return gap if 0.0 < gap <= MAX_GAP_SECONDS else 0.0

    def note_short(self, row: InstanceRow) -> None:
        """Note that a try did less work than its start cost."""
        record = self._get((row.dag_id, row.run_id))
        record.short_tries += 1
        if row.task_id in record.short_tasks or len(record.short_tasks) < MAX_SHORT_TASKS:
            record.short_tasks[row.task_id] += 1

    def add_end(self, row: InstanceRow, *, ran: bool) -> None:
        """Note the terminal state of a task instance; `ran` says whether it had a process."""
        record = self._get((row.dag_id, row.run_id))
        if row.state == "skipped":
            record.skipped = True
        elif row.state != "success" or (ran and not IDLE_OPERATOR.search(row.operator)):
            record.worked = True

    def end(self, runs: Iterable[RunRow]) -> None:
        """Note which runs ended."""
        self._ended |= {(run.dag_id, run.run_id): run for run in runs}

    def take_settled(self, now: float) -> Iterator[tuple[RunRow, RunRecord]]:
        """The runs that ended long enough ago to be judged, with what happened in each; they are forgotten."""
        for key, run in list(self._ended.items()):
            if now - (run.end_date or now) >= SETTLE_SECONDS or run.end_date is None:
                del self._ended[key]
                record = self._runs.pop(key, None)
                if record is not None:
                    yield run, record

    def list_active(self) -> Iterator[RunRecord]:
        """What happened so far in the runs that are not judged yet."""
        yield from self._runs.values()

    def _get(self, key: RunKey) -> RunRecord:
        record = self._runs.get(key)
        if record is None:
            if len(self._runs) >= MAX_RUNS:
                self._runs.pop(next(iter(self._runs)))
            record = self._runs[key] = RunRecord(key[0])
        return record


def is_first_start(row: InstanceRow) -> bool:
    """Whether the start that a row shows is its first: not a retry, nor a sensor that may have been rescheduled."""
    renewed = row.queued_when is None or row.start_date is None or row.queued_when > row.start_date
    return row.try_number <= 1 and not renewed and not is_sensor(row)
