"""What the metadata database shows that can hold up Airflow: the evidence without which no finding names it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from exporter.diagnosis.words import format_seconds

MIN_BLOCKED_SECONDS = 5.0
"""How long a session waits for a lock before that is evidence: shorter waits are part of normal work."""
FULL_RATIO = 0.95
"""The part of the connections in use from which on new ones are refused at times."""
SLOW_CRITICAL_SECTION = 1.0
"""Seconds that a statement of the scheduler's critical section takes on average, from which on it is slow."""
LONG_IDLE_SECONDS = 600.0
"""How long a session is idle in a transaction before that is worth a sentence."""
SCHEDULING = frozenset({"scheduler", "dag_processor"})
"""Components without which nothing is scheduled."""
SCHEDULED_TABLES = frozenset({"dag", "dag_run", "job", "slot_pool", "task_instance"})
"""Tables that the scheduler changes: a session that waits long for a lock on them counts, even if it is unknown."""
MIN_UNKNOWN_SECONDS = 30.0
"""How long a session that could not be identified waits for a lock before that is evidence."""


class BlockedSessions(NamedTuple):
    """Sessions of one component that wait for locks on one table, held by one component."""

    component: str
    blocked_by: str
    table: str
    sessions: int
    since: float | None
    """When the first began to wait, in Unix seconds."""
    blocker_is_idle: bool = False
    """Whether the blocking session has an open transaction and sends no statement."""


class DatabaseFacts(NamedTuple):
    """What was seen of the database. Times are Unix seconds."""

    now: float
    connections: int
    limit: float
    blocked: Sequence[BlockedSessions] = ()
    oldest_idle: tuple[str, float] | None = None
    """The component whose session is idle in a transaction for longest, and since when."""
    critical_section_seconds: float | None = None
    """What a statement of the scheduler's critical section took on average lately; None if it did not run."""
    refuses: bool = False
    """Whether it refused the last new connection, because it has no free one."""


class Obstacle(NamedTuple):
    """Something in the database that holds up the scheduler."""

    object: str
    """connections, critical_section, or the table on which a lock is waited for."""
    facts: Sequence[str]
    """One sentence each."""
    suggestion: str
    since: float | None = None
    limit: float | None = None
    used: float | None = None


def find_obstacle(facts: DatabaseFacts | None) -> Obstacle | None:
    """What holds up the scheduler, the first of: a lock, no free connection, slow statements; None without evidence."""
    if facts is None:
        return None
    obstacles = (*list_locks(facts), *list_full(facts), *list_slow(facts))
    return obstacles[0]._replace(facts=[*obstacles[0].facts, *list_idle(facts)]) if obstacles else None


def list_locks(facts: DatabaseFacts) -> Iterator[Obstacle]:
    """Yield the locks that the scheduler or the DAG processor waits for, the longest wait first."""
    for one in sorted(facts.blocked, key=lambda one: facts.now if one.since is None else one.since):
        waited = 0.0 if one.since is None else facts.now - one.since
        if waited >= get_patience(one):
            idle = ", which is idle in its transaction" if one.blocker_is_idle else ""
            fact = (
                f"{one.sessions} session{'s' if one.sessions > 1 else ''} of {one.component} "
                f"wait{'s' if one.sessions == 1 else ''} for {format_seconds(waited)} for a lock on table {one.table} "
                f"behind a session of {one.blocked_by}{idle}"
            )
            end = "End that session (pg_terminate_backend; MySQL: KILL), and find out why its transaction stays open."
            yield Obstacle(one.table, [fact], end, since=one.since)


def get_patience(one: BlockedSessions) -> float:
    """How long such sessions have to wait before that is evidence, in seconds; infinite where it is none."""
    if one.component in SCHEDULING and one.blocked_by != one.component:
        return MIN_BLOCKED_SECONDS
    return MIN_UNKNOWN_SECONDS if one.component == "unknown" and one.table in SCHEDULED_TABLES else math.inf


def list_full(facts: DatabaseFacts) -> Iterator[Obstacle]:
    """Yield that new connections are refused, if they are."""
    if facts.refuses or (facts.limit > 0 and facts.connections >= FULL_RATIO * facts.limit):
        refused = ["the database refuses new connections"] if facts.refuses else []
        suggestion = (
            "Put PgBouncer in front of the database, lower sql_alchemy_pool_size and sql_alchemy_max_overflow, "
            "or raise max_connections."
        )
        known = facts.limit > 0
        limit, used = (facts.limit, float(facts.connections)) if known else (None, None)
        yield Obstacle("connections", refused, suggestion, limit=limit, used=used)


def list_slow(facts: DatabaseFacts) -> Iterator[Obstacle]:
    """Yield that the statements of the critical section are slow, if they are."""
    seconds = facts.critical_section_seconds
    if seconds is not None and seconds >= SLOW_CRITICAL_SECTION:
        fact = f"a statement of the scheduler's critical section takes {seconds:.1f} s on average"
        suggestion = (
            "Look at the size, dead rows and indices of task_instance and dag_run; run airflow db clean and VACUUM."
        )
        yield Obstacle("critical_section", [fact], suggestion)


def list_idle(facts: DatabaseFacts) -> Iterator[str]:
    """Yield a sentence on the longest idle transaction, if it is long."""
    if facts.oldest_idle is not None:
        component, since = facts.oldest_idle
        if facts.now - since >= LONG_IDLE_SECONDS:
            yield f"a session of {component} has been idle in a transaction for {format_seconds(facts.now - since)}"
