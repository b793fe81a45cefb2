"""The database and the broker: what the API's answers show, prefetched tasks, and the visibility timeout."""

from __future__ import annotations

from collections.abc import Iterator

from exporter.tuning.advice import Answer, Confidence, Recommendation, Savings, Shortfall, format_hours, format_seconds
from exporter.tuning.queries import (
    API_SECONDS,
    CLEANABLE_ROWS,
    CRITICAL_SECTION,
    DATABASE_CONNECTIONS,
    DATABASE_LIMIT,
    HELD_TASKS,
    LONGEST_TRY,
    RUNNING,
    VISIBILITY_TIMEOUT,
)
from exporter.tuning.query import SeriesQuery
from exporter.tuning.questions.load import is_celery
from exporter.tuning.questions.raising import MIN_OBSERVED, MIN_WAITED_PER_DAY
from exporter.tuning.questions.surroundings import find_busy_moments, pick
from exporter.tuning.series import DAY, HOUR, AirflowHistory, add_up, integrate, quantile

QUESTION, TITLE = "backends", "Do the database and the broker keep up?"
SLOW = {API_SECONDS.name: 1.0, CRITICAL_SECTION.name: 1.0}
"""Seconds (p95) in the busy quarter of the time from which on it is slow."""
SLOWER = 3.0
"""And that many times as long as in the rest of the time."""
FULL = 0.8
"""Share of the connections in use from which on the database is nearly full."""
MANY_ROWS = 1e6
"""Old rows from which on cleaning is worth it."""
SAFETY = 1.5
"""The visibility timeout should be that many times the longest try."""


def answer(seen: AirflowHistory) -> Answer:
    """The answer for a window."""
    if seen.observed_seconds < MIN_OBSERVED:
        have = format_hours(seen.observed_seconds / HOUR) + " observed"
        return Answer(QUESTION, TITLE, missing=[Shortfall("Database and broker", have, "24 h", RUNNING.source.value)])
    found = [
        *judge_prefetch(seen),
        *judge_timeout(seen),
        *judge_connections(seen),
        *judge_latency(seen),
        *judge_rows(seen),
    ]
    missing = list(list_missing(seen))
    nothing = "" if found or missing else "Nothing to change: API, scheduler and broker answer as fast when much runs."
    return Answer(QUESTION, TITLE, found, nothing, missing)


def list_missing(seen: AirflowHistory) -> Iterator[Shortfall]:
    """What is not known."""
    if not seen.list(API_SECONDS):
        yield Shortfall("The database", "no times of requests", "requests to Airflow's API", API_SECONDS.source.value)
    if is_celery(seen) and not seen.list(HELD_TASKS):
        yield Shortfall("The broker", "not read", "its workers", HELD_TASKS.source.value)


def judge_prefetch(seen: AirflowHistory) -> Iterator[Recommendation]:
    """Tasks that busy workers have taken while others are free."""
    held = integrate(add_up(seen.list(HELD_TASKS)))
    if held < MIN_WAITED_PER_DAY * seen.observed_seconds / DAY:
        return
    savings = Savings.of_seconds(0.5 * held, held)
    yield Recommendation(
        title="Let workers take no tasks in advance",
        setting="[celery] worker_prefetch_multiplier",
        object="Celery's workers",
        current="",
        value="1",
        seen=[f"tasks waited {format_hours(held / HOUR)} at busy workers while others had a free slot"],
        change="Set [celery] worker_prefetch_multiplier to 1, and keep task_acks_late; 0 means without any bound.",
        effect=f"saves {savings} of waiting",
        savings=savings,
        counter_check="With a multiplier of 1 already, a worker still takes one task in advance for each slot: fewer, "
        "larger workers then help.",
        risk="Tasks of less than a second start a little later.",
        confidence=Confidence.HIGH,
        reason="both the held tasks and the free slots were seen",
        queries=seen.show(HELD_TASKS),
    )


def judge_timeout(seen: AirflowHistory) -> Iterator[Recommendation]:
    """A visibility timeout that is shorter than the longest tries."""
    timeout, longest = seen.get_last(VISIBILITY_TIMEOUT), seen.by_dag(LONGEST_TRY)
    if timeout is None or not longest:
        return
    dag_id = max(longest, key=lambda name: (longest[name], name))
    if timeout >= SAFETY * longest[dag_id]:
        return
    value = round(2 * longest[dag_id] / 3600 + 0.5) * 3600
    yield Recommendation(
        title=f"Raise the visibility timeout of the broker to {format_seconds(value)}",
        setting="[celery_broker_transport_options] visibility_timeout",
        object="the broker",
        current=f"{timeout:.0f}",
        value=str(value),
        seen=[
            f"the broker delivers a task again after {format_seconds(timeout)}",
            f"tries of DAG {dag_id} take up to {format_seconds(longest[dag_id])} (p99)",
        ],
        change=f"Set visibility_timeout in [celery_broker_transport_options] to {value}, on schedulers and workers.",
        effect="long tasks no longer run twice",
        savings=Savings(),
        counter_check="It concerns Redis and SQS with task_acks_late, which is the default of Airflow.",
        risk="A task whose worker died is delivered again later; Airflow notices its missing heartbeat earlier.",
        confidence=Confidence.HIGH if longest[dag_id] > timeout else Confidence.MEDIUM,
        reason="the timeout was read from the workers"
        if longest[dag_id] > timeout
        else "no try was seen that takes longer than the timeout",
        queries=seen.show(VISIBILITY_TIMEOUT, LONGEST_TRY),
    )


def judge_connections(seen: AirflowHistory) -> Iterator[Recommendation]:
    """Nearly as many connections as the database accepts."""
    most, limit = seen.get_last(DATABASE_CONNECTIONS), seen.get_last(DATABASE_LIMIT)
    if most is None or not limit or most < FULL * limit:
        return
    value = round(2 * most / 10 + 0.5) * 10
    yield Recommendation(
        title="Let the database accept more connections, or pool them",
        setting="max_connections",
        object="the metadata database",
        current=f"{limit:.0f}",
        value=str(value),
        seen=[f"up to {most:.0f} of {limit:.0f} connections were in use"],
        change=f"Put PgBouncer before PostgreSQL, or set max_connections to {value}.",
        effect="components and tasks do not fail for want of a connection",
        savings=Savings(),
        counter_check="Each connection of PostgreSQL takes some 10 MiB: the server must have them.",
        risk="A restart of the database, during which Airflow stands still.",
        confidence=Confidence.HIGH,
        reason="both numbers were read from the database",
        queries=seen.show(DATABASE_CONNECTIONS, DATABASE_LIMIT),
    )


def judge_rows(seen: AirflowHistory) -> Iterator[Recommendation]:
    """Many rows of old runs."""
    rows = {table: count for (table,), count in seen.by(CLEANABLE_ROWS, "table").items()}
    if sum(rows.values()) < MANY_ROWS:
        return
    largest = sorted(rows, key=lambda table: (-rows[table], table))[:3]
    yield Recommendation(
        title="Remove old rows from the database",
        setting="airflow db clean",
        object="the metadata database",
        current="",
        value="regularly",
        seen=["rows that could go: " + ", ".join(f"{rows[table]:.0f} in {table}" for table in largest)],
        change="Run airflow db clean regularly, a table at a time, at a quiet hour.",
        effect="queries of the scheduler and of the API, backups and migrations take less time",
        savings=Savings(),
        counter_check="The old runs may still be needed: export them first, or skip their tables.",
        risk="Deleting millions of rows at once locks tables: begin with the oldest, in small steps.",
        confidence=Confidence.MEDIUM,
        reason="how much faster queries get was not observed",
        queries=seen.show(CLEANABLE_ROWS),
    )


def judge_latency(seen: AirflowHistory) -> Iterator[Recommendation]:
    """Requests or the critical section that are slow when much runs."""
    for query, what in (
        (API_SECONDS, "requests to Airflow's API"),
        (CRITICAL_SECTION, "the scheduler's critical section"),
    ):
        times = compare(seen, query)
        if times is None or times[0] < SLOW[query.name] or times[0] < SLOWER * times[1]:
            continue
        yield Recommendation(
            title=f"The database is behind when much runs: {what}",
            setting="the metadata database",
            object="the metadata database",
            current="",
            value="more room, or less load",
            seen=[f"{what} take {times[0]:.1f} s in the busiest quarter of the time, else {times[1]:.1f} s (p95)"],
            change="Look at connections and slow statements of the database; run airflow db clean for old rows; let "
            "fewer tasks run at once, or lower [scheduler] max_tis_per_query.",
            effect="tasks start sooner when much runs",
            savings=Savings(),
            counter_check="CPU of the API server and of the scheduler must have room too: dashboard Hosts.",
            risk="airflow db clean deletes history for good: make a backup first.",
            confidence=Confidence.LOW,
            reason="the database itself was not looked at",
            queries=seen.show(query, RUNNING),
        )


def compare(seen: AirflowHistory, query: SeriesQuery) -> tuple[float, float] | None:
    """The p95 in the busiest quarter of the time and in the rest; None where one is not known."""
    busy = find_busy_moments(seen)
    rest = set(seen.get(RUNNING)) - busy
    values, others = pick(seen.list(query), busy), pick(seen.list(query), rest)
    return (quantile(values, 0.95), quantile(others, 0.95)) if values and others else None
