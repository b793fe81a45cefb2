"""The reader of DAG runs: those that are active, and every end, counted once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b

import msgspec

from exporter.config.dag_filter import Scope
from exporter.metrics.catalogue.api import runs
from exporter.metrics.family import Family, Labels
from exporter.metrics.reading import Change, Memory, Reading
from exporter.sources.airflow.api.models import DagRun
from exporter.sources.airflow.api.protocol import Airflow
from exporter.sources.airflow.counting.cursor import RETENTION, Window, open_window, read_cursor, write_cursor
from exporter.sources.airflow.readers import history
from exporter.sources.airflow.saved_entries import decode_all
from exporter.sources.airflow.shared import Overview, find_cleared

SPACE = "dag_runs.reached"

Reached = tuple[str, float | None]
"""What makes an end: the state and the end date."""


class RunsReader:
    """Reads DAG runs of one Airflow."""

    name = "runs"
    help = "DAG runs: active ones, every end, durations and delays; last success of each DAG"
    families: Sequence[Family] = (
        runs.RUNS,
        runs.OLDEST_STATE_ENTRY,
        runs.OLDEST_UNFINISHED,
        runs.OLDEST_UNFINISHED_WANTED,
        *history.FAMILIES,
    )

    def __init__(self, airflow: Airflow, memory: Memory, overview: Overview, scope: Scope, interval: float) -> None:
        self.interval = interval
        self._airflow = airflow
        self._memory = memory
        self._overview = overview
        self._scope = scope

    def read(self) -> Reading:
        """Read one window. Raises ReaderError."""
        window = open_window(read_cursor(self._memory, self.name), self._airflow.server_time(), sliced=False)
        active = self._scope.select(self._airflow.dag_runs_active())
        ended = {identify(run): run for run in self._scope.select(self._airflow.dag_runs_ended(window.since))}
        known = self._recall(ended)
        fresh = {key: run for key, run in ended.items() if known.get(key) != reach(run)}
        counted = [(run, key in known) for key, run in fresh.items() if key in known or is_recent(run, window)]
        changes = [
            change for run, again in counted for change in count(run, self._scope, again=again, edge=window.edge)
        ]
        histories = history.recall_histories(self._memory)
        learnt = learn_all(histories, (run for run, _ in counted))
        self._overview.backfilled = count_backfilled(active)
        self._overview.cleared = find_cleared(active)
        self._overview.active_runs = frozenset((run.dag_id, run.run_id) for run in active)
        return Reading(
            tables=state_tables(active) | history.history_tables(histories | learnt, self._overview.dags),
            changes=changes,
            memories={
                SPACE: {key: msgspec.msgpack.encode(reach(run)) for key, run in fresh.items()},
                history.SPACE: history.write_histories(learnt),
                "cursor": write_cursor(self.name, window),
            },
            notes=[f"{len(active)} active, {len(ended)} ended rows, {len(counted)} counted"],
            moment=window.after.complete,
            forget={SPACE: window.since - RETENTION},
        )

    def _recall(self, keys: Iterable[bytes]) -> dict[bytes, Reached]:
        decode = msgspec.msgpack.Decoder(Reached).decode
        return decode_all(self._memory, SPACE, self._memory.recall(SPACE, keys), decode)


def identify(run: DagRun) -> bytes:
    """A short key of a run: its DAG and its id."""
    return blake2b(f"{run.dag_id}\0{run.run_id}".encode(), digest_size=16).digest()


def reach(run: DagRun) -> Reached:
    return (run.state or "", run.end_date)


def is_recent(run: DagRun, window: Window) -> bool:
    """Whether a run that nothing is remembered of ended while we watch."""
    return run.end_date is not None and run.end_date >= window.edge


def count(run: DagRun, scope: Scope, *, again: bool, edge: float) -> Iterator[Change]:
    """The changes that the end of a run makes; `again` says that it had ended before, so it was cleared.

    A run due for longer than ends are remembered may have been cleared unseen: its delays are not told.
    """
    yield Change(runs.FINISHED, (run.dag_id, run.run_type, run.state or ""))
    if run.start_date is None or run.end_date is None:
        return
    if run.state == "success":
        yield Change(runs.DURATION, (run.dag_id,), max(0.0, run.end_date - run.start_date))
    if run.run_type == "scheduled" and not again and run.run_after is not None:
        if run.run_after < min(edge, run.end_date - RETENTION):
            return
        yield Change(runs.SCHEDULE_DELAY, (scope.delays(run.dag_id),), max(0.0, run.start_date - run.run_after))
        yield Change(runs.SINCE_RUN_AFTER, (scope.delays(run.dag_id),), max(0.0, run.end_date - run.run_after))


def learn_all(histories: Mapping[str, history.DagHistory], ended: Iterable[DagRun]) -> dict[str, history.DagHistory]:
    """The histories that change by the runs that ended."""
    learnt: dict[str, history.DagHistory] = {}
    for run in sorted(ended, key=lambda run: run.end_date or 0.0):
        before = learnt.get(run.dag_id) or histories.get(run.dag_id) or history.DagHistory()
        learnt[run.dag_id] = history.learn(before, run)
    return learnt


def count_backfilled(active: Iterable[DagRun]) -> dict[Labels, float]:
    """Active backfill runs by DAG and state."""
    return dict(Counter((run.dag_id, run.state or "") for run in active if run.run_type == "backfill"))


def find_wanted(run: DagRun) -> float | None:
    """Since when a run has been wanted: since it was due, or came into being after that by catching up or by a clear.

    Of 2.x, which does not tell when a run was queued, the start is taken, and nothing is known of a run before it.
    """
    begun = run.queued_at or run.start_date
    return None if run.run_after is None or begun is None else max(run.run_after, begun)


def state_tables(active: Iterable[DagRun]) -> dict[Family, dict[Labels, float]]:
    """The state families of the active runs."""
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
            moment = find_wanted(run)
            if moment is not None:
                wanted[(run.dag_id,)] = min(moment, wanted.get((run.dag_id,), moment))
    return {
        runs.RUNS: dict(counts),
        runs.OLDEST_STATE_ENTRY: oldest,
        runs.OLDEST_UNFINISHED: due,
        runs.OLDEST_UNFINISHED_WANTED: wanted,
    }
