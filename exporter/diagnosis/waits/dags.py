"""DAGs that are meant to run and do not, each with the first reason that holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from exporter.diagnosis import reasons
from exporter.diagnosis.costs.schedule import find_next, parse_schedule
from exporter.diagnosis.reasons import Reason
from exporter.diagnosis.situation import ActiveDagRun, DagLimits
from exporter.diagnosis.waits.assets import AssetState, ProducerRun, explain_assets
from exporter.diagnosis.words import format_seconds, format_time

GRACE_SECONDS = 120.0
"""Seconds for which a run may be due before the DAG counts as one that does not run."""
LONG_OVERDUE_SECONDS = 600.0
"""Seconds after which a run that is due and that nothing holds up is more than a busy scheduler."""
MIN_STALE_SECONDS = 900.0
STALE_FACTOR = 10.0
"""A file is stale if it was parsed this long ago, and this many times longer ago than half of the files."""
MIN_DURATIONS = 2
"""Ended runs that are needed to say how long a run of the DAG takes."""
CONTINUOUS = "@continuous"
"""The schedule of a DAG whose next run is due as soon as one ends."""


class PlannedDag(DagLimits, Protocol):
    """A DAG. Times are Unix seconds."""

    @property
    def schedule(self) -> str: ...
    @property
    def bundle(self) -> str: ...
    @property
    def file(self) -> str: ...
    @property
    def has_import_errors(self) -> bool: ...
    @property
    def next_run(self) -> float | None: ...
    @property
    def last_parsed(self) -> float | None: ...


@dataclass(frozen=True, slots=True)
class AutoPause:
    """That the scheduler paused a DAG."""

    when: float | None = None
    """Unix seconds; None where it is inferred from the failed runs."""
    failed_runs: int = 0


@dataclass(frozen=True, slots=True)
class Schedules:
    """What is known of all DAGs at one moment."""

    now: float
    """When the DAGs were listed, in Unix seconds by Airflow's clock."""
    dags: Mapping[str, PlannedDag]
    runs: Sequence[ActiveDagRun] = ()
    """All queued and running runs."""
    broken_files: frozenset[tuple[str, str]] = frozenset()
    """Bundle and path of the files that cannot be imported."""
    auto_paused: Mapping[str, AutoPause] = field(default_factory=dict)
    periods: Mapping[str, float] = field(default_factory=dict)
    """Seconds between two scheduled runs of a DAG, on average."""
    newest: Mapping[str, float] = field(default_factory=dict)
    """When the newest scheduled run of a DAG was due, in Unix seconds."""
    durations: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Seconds that the last successful scheduled runs of a DAG took."""
    skipped: Callable[[str], int] = lambda _dag_id: 0
    """Intervals for which no run was made, among the last scheduled runs of a DAG: counting takes a while."""
    freed: Mapping[str, float] = field(default_factory=dict)
    """When what held up the next run of a DAG was over: its last run ended, or it was unpaused. Unix seconds."""
    assets: Sequence[AssetState] = ()
    producer_runs: Mapping[str, ProducerRun] = field(default_factory=dict)
    """The last run of DAGs that update assets, where it failed."""
    complete: bool = True
    """Whether these are all DAGs, none left out by a filter."""
    counts_backfills: bool = False
    """Whether runs of a backfill count for max_active_runs of their DAG (Airflow 2)."""


class Blocked(NamedTuple):
    """A DAG that does not run."""

    dag_id: str
    """Empty for a file of which no DAG is known."""
    reason: Reason
    object: str
    facts: Sequence[str]
    """The evidence, one sentence each."""
    suggestion: str
    since: float | None = None
    """Unix seconds."""
    escalated: bool = False
    """Whether it has lasted so long that an operator should look."""
    missing: int = 0
    """How many runs are due and are not there; 0 where it is not known."""


def explain_dags(schedules: Schedules) -> Iterator[Blocked]:
    """Yield each DAG that is meant to run and does not."""
    stale_after = get_stale_age(schedules)
    active: defaultdict[str, list[ActiveDagRun]] = defaultdict(list)
    for run in schedules.runs:
        if run.run_type != "backfill" or schedules.counts_backfills:
            active[run.dag_id].append(run)
    waiting = explain_assets(schedules.assets, schedules)
    for dag_id, dag in schedules.dags.items():
        found = explain_dag(dag_id, dag, schedules, active[dag_id], stale_after)
        if found is None and is_idle(dag) and not active[dag_id] and dag_id in waiting:
            held = waiting[dag_id]
            found = Blocked(dag_id, reasons.ASSET, held.asset, held.facts, held.suggestion, held.since)
        if found is not None:
            yield found
    yield from find_unknown_files(schedules)


def is_idle(dag: PlannedDag) -> bool:
    """Whether a DAG that may run has no time at which it runs next: one with both runs without its assets too."""
    return not dag.is_paused and not dag.is_stale and dag.next_run is None


def find_unknown_files(schedules: Schedules) -> Iterator[Blocked]:
    """Files that cannot be imported and of which Airflow knows no DAG yet: what was just deployed does not appear."""
    known = {(dag.bundle, dag.file) for dag in schedules.dags.values()}
    for _, file in sorted(schedules.broken_files - known) if schedules.complete else ():
        facts = [f"import error in {file}, and Airflow knows no DAG of it"]
        text = f"Fix the import error of {file} (shown in Airflow as an import error); its DAGs then appear."
        yield Blocked("", reasons.FILE_BROKEN, file, facts, text)


def explain_dag(
    dag_id: str, dag: PlannedDag, schedules: Schedules, active: Sequence[ActiveDagRun], stale_after: float
) -> Blocked | None:
    """Why a DAG does not run; None where it does, or is not meant to."""
    if dag.is_paused:
        pause = schedules.auto_paused.get(dag_id)
        return None if pause is None or dag.is_stale else explain_pause(dag_id, pause)
    if dag.has_import_errors or (dag.bundle, dag.file) in schedules.broken_files:
        facts = [f"import error in {dag.file}"]
        text = f"Fix the import error of {dag.file} (shown in Airflow as an import error); the DAG follows by itself."
        return Blocked(dag_id, reasons.FILE_BROKEN, dag.file, facts, text)
    if dag.is_stale:
        return None
    if dag.last_parsed is not None and schedules.now - dag.last_parsed > stale_after:
        return explain_stale_file(dag_id, dag.file, dag.last_parsed, schedules.now, stale_after)
    return explain_schedule(dag_id, dag, schedules, active)


def explain_stale_file(dag_id: str, file: str, parsed: float, now: float, stale_after: float) -> Blocked:
    """A DAG whose file is not parsed any more."""
    others = format_seconds(max(stale_after / STALE_FACTOR, 1.0))
    facts = [f"parsed {format_seconds(now - parsed)} ago, half of the files within {others}"]
    text = f"See whether {file} still exists, and why the DAG processor does not parse it (its log, its time-outs)."
    return Blocked(dag_id, reasons.FILE_STALE, file, facts, text, parsed)


def explain_pause(dag_id: str, pause: AutoPause) -> Blocked:
    """A DAG that the scheduler paused."""
    facts = [f"{pause.failed_runs} runs in a row failed"] if pause.failed_runs else []
    if pause.when is not None:
        facts.append(f"paused by the scheduler at {format_time(pause.when)}")
    else:
        facts.append("who paused it cannot be read (permission Audit Logs): inferred from the failed runs")
    text = f"Fix what makes {dag_id} fail, then unpause it: the scheduler does not."
    return Blocked(dag_id, reasons.AUTO_PAUSED, dag_id, facts, text, pause.when)


def explain_schedule(
    dag_id: str, dag: PlannedDag, schedules: Schedules, active: Sequence[ActiveDagRun]
) -> Blocked | None:
    """Why a DAG whose next run is due has none; or that its runs take longer than its schedule."""
    if dag.schedule == CONTINUOUS:
        return None
    period, limit = schedules.periods.get(dag_id), dag.max_active_runs or 0
    full = bool(limit) and len(active) >= limit
    due = get_due(dag_id, dag, schedules, active, full=full)
    overdue = 0.0 if due is None else schedules.now - due
    slow = explain_slow(dag_id, schedules, active, limit) if period and limit else None
    if slow is not None:
        return slow._replace(since=due if overdue > GRACE_SECONDS else None)
    if overdue <= GRACE_SECONDS:
        return None
    late = f"a run was due {format_seconds(overdue)} ago"
    if full:
        oldest = min((run.start_date for run in active if run.start_date is not None), default=None)
        facts = [late, f"{len(active)} active runs, max_active_runs {limit}"]
        if oldest is not None:
            facts.append(f"the oldest has been running for {format_seconds(schedules.now - oldest)}")
        missing = int(overdue // period) + 1 if period else 0
        return Blocked(dag_id, reasons.MAX_ACTIVE_RUNS, dag_id, facts, "", due, missing=missing)
    # A DAG that catches up, or was paused, is late for longer than its next run could have been made.
    free_for = min(overdue, schedules.now - schedules.freed.get(dag_id, 0.0))
    if free_for <= GRACE_SECONDS:
        return None
    text = "See whether the scheduler lives and keeps up (its log, its loop)."
    return Blocked(dag_id, reasons.SCHEDULER, dag_id, [late], text, due, free_for > LONG_OVERDUE_SECONDS)


def get_due(
    dag_id: str, dag: PlannedDag, schedules: Schedules, active: Sequence[ActiveDagRun], *, full: bool
) -> float | None:
    """When the next run of a DAG is or was due, in Unix seconds.

    While max_active_runs holds, Airflow 2 does not say it, and Airflow 3 without catchup always names a time that is
    not past yet. Then it is the next time after the newest scheduled run, or when what holds the limit began.
    """
    period, newest = schedules.periods.get(dag_id), schedules.newest.get(dag_id)
    starts = [run.start_date for run in active if run.start_date is not None]
    if not full or not period or (newest is None and not starts):
        return dag.next_run
    begun = min(starts, default=0.0)
    if newest is None:
        # Within a period after what holds the limit began, one run at least was due.
        expected = begun + period
    else:
        schedule = parse_schedule(dag.schedule)
        following = find_next(schedule, newest) if schedule is not None else None
        expected = max(newest + period if following is None else following, begun)
    return expected if dag.next_run is None else min(dag.next_run, expected)


def explain_slow(dag_id: str, schedules: Schedules, active: Sequence[ActiveDagRun], limit: int) -> Blocked | None:
    """That a DAG's runs take longer than its schedule leaves them; None where they do not, or it is not known."""
    period, usual = schedules.periods[dag_id], schedules.durations.get(dag_id, ())
    starts = [run.start_date for run in active if run.run_type == "scheduled" and run.start_date is not None]
    running = schedules.now - min(starts) if starts else 0.0
    if len(usual) >= MIN_DURATIONS:
        takes, how = get_median(usual), f"median of the last {len(usual)}"
    else:
        # Of a DAG whose runs have not been seen to end: the runs that hold all its places.
        takes, how = (running if len(active) >= limit else 0.0), "still running"
    if takes <= period * limit:
        return None
    every = format_seconds(period)
    facts = [f"a run takes {format_seconds(takes)} ({how}), one is due every {every}, max_active_runs {limit}"]
    skipped = schedules.skipped(dag_id)
    if skipped:
        facts.append(f"{skipped} intervals were skipped between the last runs")
    needed = int(takes // period) + 1
    text = (
        f"Shorten the runs of {dag_id}, schedule it every {format_seconds(takes)} or more, or raise max_active_runs "
        f"from {limit} to {needed} if its runs may overlap."
    )
    return Blocked(dag_id, reasons.SLOWER_THAN_SCHEDULE, dag_id, facts, text)


def get_stale_age(schedules: Schedules) -> float:
    """Seconds after which a file that was not parsed is stale, by how long ago the others were."""
    ages = [
        schedules.now - dag.last_parsed
        for dag in schedules.dags.values()
        if dag.last_parsed is not None and not dag.is_stale
    ]
    return max(MIN_STALE_SECONDS, STALE_FACTOR * get_median(ages)) if ages else MIN_STALE_SECONDS


def get_median(values: Sequence[float]) -> float:
    """The middle value, the upper one of two. The module `statistics` is too large for an exporter on a worker."""
    return sorted(values)[len(values) // 2]
