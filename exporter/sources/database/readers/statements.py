"""The reader of statements: how often and for how long the database executes what, by purpose, and the top ones."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from exporter.metrics.catalogue import database
from exporter.metrics.family import Family, Labels
from exporter.metrics.reading import Reading
from exporter.sources.database.models import ServerIdentity, StatementTotals, add, is_same_server, subtract
from exporter.sources.database.purposes import find_purpose
from exporter.sources.database.readers.ranking import Ranking
from exporter.sources.database.readers.state import DatabaseApi, DatabaseState

NOTHING = StatementTotals(0.0, 0.0, 0.0)
UPTIME_ERROR = 2.0
"""Seconds by which the uptime, in whole seconds and read a little earlier, may be too short."""
MAX_NAMED = 10
"""The most expensive purposes that a note names."""


class StatementsReader:
    """Reads the totals of all statements, and the text of each one once."""

    name = "statements"
    help = "Statements by what they are for: number, time, rows (PostgreSQL: pg_stat_statements)"
    families: Sequence[Family] = tuple(one for one in database.FAMILIES if one.reader == "statements")

    def __init__(
        self,
        api: DatabaseApi,
        state: DatabaseState,
        interval: float,
        *,
        with_texts: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.interval = interval
        self._clock = clock
        self._read_at = 0.0
        self._ranking = Ranking(interval, with_texts=with_texts)
        self._api = api
        self._state = state
        self._purposes: dict[str, str] = {}
        self._last: Mapping[str, StatementTotals] = {}
        self._totals: defaultdict[str, StatementTotals] = defaultdict(lambda: NOTHING)
        self._server: ServerIdentity | None = None
        self._has_read = False

    def read(self) -> Reading:
        """Read once. Raises ReaderError."""
        with self._api.transaction() as run:
            server = self._api.dialect.read_identity(run)
            statements = self._api.dialect.read_statements(run)
            if statements is None:
                self._state.record_critical_section(None)
                empty: dict[Family, dict[Labels, float]] = {family: {} for family in self.families}
                return Reading(empty, notes=["the database collects no statistics of statements (docs/database.md)"])
            texts = self._api.dialect.read_texts(run, statements.keys() - self._purposes)
        self._recognize(server)
        self._learn_purposes(statements, texts)
        self._ranking.update(statements, self._last, texts)
        grown = self._add(statements)
        self._has_read = True
        spent = grown.get("critical_section", NOTHING)
        self._state.record_critical_section(spent.seconds / spent.calls if spent.calls else None)
        return Reading(self._build_tables(), notes=[self._describe(len(statements))])

    def _recognize(self, server: ServerIdentity) -> None:
        """Read as for the first time if another server answers: its statistics began long ago, with other totals.

        If they began again since the last reading, everything in them is new, also where it is more than before.
        """
        now = self._clock()
        if self._server is not None and not is_same_server(self._server, server):
            self._last, self._has_read = {}, False
            self._ranking.clear()
        elif self._has_read and server.uptime is not None and server.uptime + UPTIME_ERROR < now - self._read_at:
            self._last = {}
        self._server, self._read_at = server, now

    def _learn_purposes(self, statements: Mapping[str, StatementTotals], texts: Mapping[str, str]) -> None:
        """Keep the purposes of the statements that there are; one without a text is looked up again."""
        known = {one: purpose for one, purpose in self._purposes.items() if one in statements}
        self._purposes = known | {one: find_purpose(text) for one, text in texts.items()}

    def _add(self, statements: Mapping[str, StatementTotals]) -> dict[str, StatementTotals]:
        """Add what each statement grew by since the last reading, by purpose; the database forgets rare statements.

        The first reading of a server adds nothing: what was forgotten since the statistics began is in no total, so
        that after a restart of the exporter a counter that began with them would fall, and count as grown by all of
        them.
        """
        grown: defaultdict[str, StatementTotals] = defaultdict(lambda: NOTHING)
        for statement, totals in statements.items():
            purpose = self._purposes.get(statement, "other")
            last = self._last.get(statement, NOTHING) if self._has_read else totals
            grown[purpose] = add(grown[purpose], subtract(totals, last))
        for purpose, growth in grown.items():
            self._totals[purpose] = add(self._totals[purpose], growth)
        self._last = statements
        return dict(grown)

    def _build_tables(self) -> dict[Family, dict[Labels, float]]:
        totals = self._totals.items()
        return {
            database.STATEMENT_CALLS: {(purpose,): one.calls for purpose, one in totals},
            database.STATEMENT_SECONDS: {(purpose,): one.seconds for purpose, one in totals},
            database.STATEMENT_ROWS: {(purpose,): one.rows for purpose, one in totals},
            **self._ranking.build_tables(self._last, self._purposes),
        }

    def _describe(self, count: int) -> str:
        ranked = sorted(self._totals.items(), key=lambda one: one[1].seconds, reverse=True)[:MAX_NAMED]
        named = ", ".join(f"{purpose} {one.seconds:.1f} s" for purpose, one in ranked)
        return f"{count} statements; most expensive: {named}" if ranked else "no statement was executed yet"
