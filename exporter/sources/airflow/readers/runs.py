"""The reader of DAG runs: counts of active ones, and every end, counted once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from hashlib import blake2b

import msgspec

from exporter.config.dag_filter import DagFilter
from exporter.metrics.catalogue.api import runs
from exporter.metrics.family import Family, Labels
from exporter.metrics.reading import Change, Memory, Reading
from exporter.metrics.saved_entries import decode_all
from exporter.sources.airflow.api.objects.dag_runs import CHECK, DagRun
from exporter.sources.airflow.api.protocol import Airflow
from exporter.sources.airflow.counting.cursor import (
    RECORD_RETENTION,
    CursorRange,
    next_range,
    read_cursor,
    report_beginning,
    write_cursor,
)
from exporter.sources.airflow.ended.unwritten import keep_runs
from exporter.sources.airflow.reader import ApiReader, ReaderContext
from exporter.sources.airflow.readers import history
from exporter.sources.airflow.shared import AirflowState, find_cleared

ENDED_SPACE = "dag_runs.reached"
"""Where the state file holds how each run ended last."""

RunEnd = tuple[str, float | None]
"""What identifies an end of a run: its state and end date."""


class RunsReader(ApiReader):
    """Reads DAG runs of one Airflow."""

    name = "runs"
    help = "DAG runs: active ones, every end, durations and delays; last success of each DAG"
    families = (
        runs.RUNS,
        runs.OLDEST_STATE_ENTRY,
        runs.OLDEST_UNFINISHED,
        runs.OLDEST_UNFINISHED_WANTED,
        *history.FAMILIES,
    )
    needs = ("dags",)
    checks = (CHECK,)

    def __init__(
        self, airflow: Airflow, memory: Memory, overview: AirflowState, dag_filter: DagFilter, interval: float
    ) -> None:
        self.interval = interval
        self._airflow = airflow
        self._memory = memory
        self._overview = overview
        self._dag_filter = dag_filter

    @classmethod
    def build(cls, context: ReaderContext, interval: float) -> RunsReader:
        """A reader for the Airflow that is connected now."""
        return cls(context.airflow, context.memory, context.shared, context.dag_filter, interval)

    def read(self) -> Reading:
        """Read what is active and what ended since the cursor. Raises ReaderError."""
        span = next_range(read_cursor(self._memory, self.name), self._airflow.server_time(), sliced=False)
        active = self._dag_filter.select(self._airflow.dag_runs_active())
        ended = {hash_run_key(run): run for run in self._dag_filter.select(self._airflow.dag_runs_ended(span.since))}
        known = self._recall(ended)
        fresh = {key: run for key, run in ended.items() if known.get(key) != run_end(run)}
        counted = [(run, key in known) for key, run in fresh.items() if key in known or is_recent(run, span)]
        ended_runs = [run for run, _ in counted]
        changes = [
            change
            for run, again in counted
            for change in run_changes(run, self._dag_filter, again=again, count_from=span.count_from)
        ]
        histories = history.recall_histories(self._memory)
        failed_before = {key for key, (state, _) in known.items() if state == "failed"}
        updated = update_histories(histories, ended_runs, failed_before)
        self._overview.histories = histories | updated
        self._overview.backfilled = count_backfilled(active)
        self._overview.cleared = find_cleared(active)
        self._overview.active_dag_runs = active
        self._overview.active_runs = frozenset((run.dag_id, run.run_id) for run in active)
        return Reading(
            tables=state_tables(active) | history.history_tables(histories | updated, self._overview.dags),
            changes=changes,
            memories={
                ENDED_SPACE: {key: msgspec.msgpack.encode(run_end(run)) for key, run in fresh.items()},
                history.SPACE: history.write_histories(updated),
                "cursor": write_cursor(self.name, span),
                **(keep_runs(ended_runs, span.after.complete) if self._overview.events else {}),
            },
            notes=[f"{len(active)} active, {len(ended)} ended rows, {len(counted)} counted"],
            moment=span.after.complete,
            forget={ENDED_SPACE: span.since - RECORD_RETENTION},
            after_commit=partial(self._hand_over, ended_runs, span),
        )

    def _hand_over(self, ended_runs: Sequence[DagRun], span: CursorRange) -> None:
        """Let other readers look closer at what ended."""
        report_beginning("runs", span)
        self._overview.ended_runs.extend(ended_runs)

    def _recall(self, keys: Iterable[bytes]) -> dict[bytes, RunEnd]:
        decode = msgspec.msgpack.Decoder(RunEnd).decode
        return decode_all(self._memory, ENDED_SPACE, self._memory.recall(ENDED_SPACE, keys), decode)


def hash_run_key(run: DagRun) -> bytes:
    """A short key of a run, made from its DAG id and run id."""
    return blake2b(f"{run.dag_id}\0{run.run_id}".encode(), digest_size=16).digest()


def run_end(run: DagRun) -> RunEnd:
    """How a run ended, as the state file remembers it."""
    return (run.state or "", run.end_date)


def is_recent(run: DagRun, span: CursorRange) -> bool:
    """Whether a run of which nothing is remembered ended after counting began."""
    return run.end_date is not None and run.end_date >= span.count_from


def run_changes(run: DagRun, dag_filter: DagFilter, *, again: bool, count_from: float) -> Iterator[Change]:
    """The changes that the end of a run makes; `again` says that it had ended before, so it was cleared.

    Delays are left out where it is unknown whether the run was cleared: it was due longer ago than ends are remembered.
    """
    yield Change(runs.FINISHED, (run.dag_id, run.run_type, run.state or ""))
    if run.start_date is None or run.end_date is None:
        return
    if run.state == "success":
        yield Change(runs.DURATION, (run.dag_id,), max(0.0, run.end_date - run.start_date))
    if run.run_type == "scheduled" and not again and run.run_after is not None:
        if run.run_after < min(count_from, run.end_date - RECORD_RETENTION):
            return
        yield Change(
            runs.SCHEDULE_DELAY, (dag_filter.delay_dag_label(run.dag_id),), max(0.0, run.start_date - run.run_after)
        )
        yield Change(
            runs.SINCE_RUN_AFTER, (dag_filter.delay_dag_label(run.dag_id),), max(0.0, run.end_date - run.run_after)
        )


def update_histories(
    histories: Mapping[str, history.DagHistory], ended: Iterable[DagRun], failed_before: Collection[bytes] = ()
) -> dict[str, history.DagHistory]:
    """The histories of DAGs that change by the runs that ended; `failed_before` are keys of those that failed again."""
    updated: dict[str, history.DagHistory] = {}
    for run in sorted(ended, key=lambda run: run.end_date or 0.0):
        before = updated.get(run.dag_id) or histories.get(run.dag_id) or history.DagHistory()
        updated[run.dag_id] = history.add_run(before, run, failed_before=hash_run_key(run) in failed_before)
    return updated


def count_backfilled(active: Iterable[DagRun]) -> dict[Labels, float]:
    """Active backfill runs by DAG and state."""
    return dict(Counter((run.dag_id, run.state or "") for run in active if run.run_type == "backfill"))


def get_due_at(run: DagRun) -> float | None:
    """When a run became due, or was created (by catching up) or cleared if that was later; None where unknown.

    Airflow 2 does not report when a run was queued. There the start is used, and before it the time is unknown.
    """
    begun = run.queued_at or run.start_date
    return None if run.run_after is None or begun is None else max(run.run_after, begun)


def state_tables(active: Iterable[DagRun]) -> dict[Family, dict[Labels, float]]:
    """The gauges of active runs: how many, and the oldest of each state."""
    counts: Counter[Labels] = Counter()
    oldest: dict[Labels, float] = {}
    due: dict[Labels, float] = {}
    wanted: dict[Labels, float] = {}
    for run in active:
        state = run.state or ""
        counts[(run.dag_id, run.run_type, state)] += 1
        since = run.start_date if state == "running" else run.queued_at
        if since is not None:
            key = (run.dag_id, state)
            oldest[key] = min(since, oldest.get(key, since))
        if run.run_type == "scheduled" and run.run_after is not None:
            due[(run.dag_id,)] = min(run.run_after, due.get((run.dag_id,), run.run_after))
            moment = get_due_at(run)
            if moment is not None:
                wanted[(run.dag_id,)] = min(moment, wanted.get((run.dag_id,), moment))
    return {
        runs.RUNS: dict(counts),
        runs.OLDEST_STATE_ENTRY: oldest,
        runs.OLDEST_UNFINISHED: due,
        runs.OLDEST_UNFINISHED_WANTED: wanted,
    }
