"""The reader of sessions: connections, open transactions, and who waits for whose locks."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from exporter.diagnosis.waits.database import BlockedSessions
from exporter.metrics.catalogue import database
from exporter.metrics.catalogue.database_names import STATES, TABLES
from exporter.metrics.family import Family, Labels
from exporter.metrics.reading import Reading
from exporter.sources.database.components import name_components
from exporter.sources.database.models import LockWait, Session, SessionsReading
from exporter.sources.database.readers.state import DatabaseApi, DatabaseState

MAX_CHAIN = 1000
"""Sessions that are followed from a waiting one to the one that holds up all of them."""
MAX_NAMED = 5
"""Clients whose component is unknown that a note names."""


class SessionsReader:
    """Reads all sessions of the server."""

    name = "sessions"
    help = "Connections to the database by component, open transactions, locks that are waited for"
    families: Sequence[Family] = tuple(one for one in database.FAMILIES if one.reader == "sessions")

    def __init__(self, api: DatabaseApi, state: DatabaseState, interval: float) -> None:
        self.interval = interval
        self._api = api
        self._state = state

    def read(self) -> Reading:
        """Read once. Raises ReaderError."""
        with self._api.transaction() as run:
            reading = self._api.dialect.read_sessions(run)
        clients = self._state.find_clients(reading.sessions)
        components = name_components(reading.sessions, clients)
        blocked = count_blocked(reading, components)
        self._state.record_sessions(reading, components, blocked)
        tables = session_tables(reading, components, blocked)
        return Reading(tables, notes=list(list_notes(reading, components)))


class Blocking(NamedTuple):
    """A session that waits, and the session that holds up it and all others between them."""

    waiting: Session
    root: Session | None
    since: float | None
    table: str


def find_blocking(reading: SessionsReading) -> list[Blocking]:
    """For each waiting session the one at the end of its chain: that which waits for no lock itself."""
    sessions = {one.id: one for one in reading.sessions}
    waits = {one.session: one for one in reading.waits}
    return [
        Blocking(sessions[one.session], sessions.get(find_root(one.session, waits)), one.since, name_table(one.table))
        for one in waits.values()
        if one.session in sessions
    ]


def find_root(session: int, waits: Mapping[int, LockWait]) -> int:
    """Follow the first blocker of each; in a circle any of its sessions, and 0 if no blocker is known."""
    seen: set[int] = set()
    while (wait := waits.get(session)) is not None and session not in seen and len(seen) < MAX_CHAIN:
        if not wait.blockers:
            return 0
        seen.add(session)
        session = wait.blockers[0]
    return session


def name_table(table: str) -> str:
    """The table as a label."""
    return "unknown" if not table else table if table in TABLES else "other"


def count_blocked(reading: SessionsReading, components: Mapping[int, str]) -> list[BlockedSessions]:
    """The waiting sessions by component, the component that blocks them, and the table."""
    groups: defaultdict[tuple[str, str, str], list[Blocking]] = defaultdict(list)
    for one in find_blocking(reading):
        blocker = components[one.root.id] if one.root is not None else "unknown"
        groups[components[one.waiting.id], blocker, one.table].append(one)
    return [
        BlockedSessions(
            *labels,
            len(group),
            min((one.since for one in group if one.since is not None), default=None),
            any(one.root is not None and one.root.state == "idle_in_transaction" for one in group),
        )
        for labels, group in groups.items()
    ]


def session_tables(
    reading: SessionsReading, components: Mapping[int, str], blocked: Iterable[BlockedSessions]
) -> dict[Family, dict[Labels, float]]:
    """The families of sessions."""
    clients = [one for one in reading.sessions if one.is_client]
    counts = Counter((components[one.id], one.state) for one in clients)
    others = [one for one in reading.sessions if not one.is_exporter]
    return {
        database.CONNECTIONS: {
            (component, state): counts[component, state] for component, _ in counts for state in STATES
        },
        database.CONNECTION_LIMIT: {(): reading.limit},
        database.OLDEST_TRANSACTION: find_oldest((components[one.id], one.transaction_at) for one in others),
        database.OLDEST_IDLE_TRANSACTION: find_oldest((components[one.id], one.idle_at) for one in others),
        database.BLOCKED_SESSIONS: {one[:3]: one.sessions for one in blocked},
        database.OLDEST_BLOCKED: {one[:3]: one.since for one in blocked if one.since is not None},
    }


def find_oldest(moments: Iterable[tuple[str, float | None]]) -> dict[Labels, float]:
    """The earliest moment of each component."""
    oldest: dict[Labels, float] = {}
    for component, moment in moments:
        if moment is not None:
            oldest[component,] = min(moment, oldest.get((component,), moment))
    return oldest


def list_notes(reading: SessionsReading, components: Mapping[int, str]) -> Iterable[str]:
    """Yield lines for the page /sources."""
    clients = [one for one in reading.sessions if one.is_client]
    yield f"{len(clients)} of {reading.limit:.0f} connections in use, {len(reading.waits)} sessions wait for locks"
    unknown = Counter(
        f"{one.user}@{one.address or 'local socket'}" for one in clients if components[one.id] == "unknown"
    )
    if unknown:
        named = ", ".join(f"{name} ({count})" for name, count in unknown.most_common(MAX_NAMED))
        yield f"connections of unknown components: {named}; set PGAPPNAME (docs/database.md)"
