"""Tables whose series change with every event of a push source, such as StatsD.

Only the receiving thread creates, changes and removes series; scrapes read them without a lock. A new counter or
histogram of the catalogue is exposed as 0 first, and with its value `birth_hold` seconds later, as in a ledger.
A series without an event for its family's `ttl` is removed: the table's list is replaced.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping

from exporter.metrics.family import MAPPED, OTHER, Family, Kind, Labels
from exporter.metrics.family_spec import FamilySpec
from exporter.store.ledger import coarsen
from exporter.store.live_table import LiveTable, build_series_maker
from exporter.store.respelling import LabelCorrection, respell
from exporter.store.runtime_budget import RuntimeBudget
from exporter.store.senders import GaugeSeries, SummarySeries
from exporter.store.store import FamilyTable, PersistentSeries, Series, Store, clean_labels
from exporter.store.unclaimed_rows import UnclaimedRows

EXPIRY_CHECKS_PER_TTL = 10
"""Expired series are searched this often within a TTL, so a series is removed at most a tenth of its TTL late."""
PERIODIC_EXPIRY_CHECK = 10.0
"""Seconds between searches for expired series of periodic families."""
REMOVED = -1.0
"""The `exposed_at` of a removed series, for code that still refers to it."""
MAX_REVEALED_PER_SWEEP = 5_000
"""Series of a family that one sweep reveals: a longer sweep would let the receive buffer overflow."""


class LiveTables:
    """The tables of one source. If `persistent`, the state file keeps counters, histograms and summaries."""

    def __init__(
        self,
        store: Store,
        *,
        birth_hold: float = 30.0,
        buckets: Mapping[Family, tuple[float, ...]] | None = None,
        clock: Callable[[], float] = time.monotonic,
        persistent: bool = False,
    ) -> None:
        self._store = store
        self.birth_hold = birth_hold
        self._persistent = persistent
        self.unclaimed = UnclaimedRows()
        """Saved series of an earlier process."""
        self._removed: deque[Series] = deque()
        self._expired_families: list[Family] = []
        self._buckets = dict(buckets or {})
        self.clock = clock
        self._live: dict[Family, LiveTable] = {}
        self.budget = RuntimeBudget()
        self.folded: Counter[Family] = Counter()
        self.refused: Counter[Family] = Counter()

    def configure(self, birth_hold: float, buckets: Mapping[Family, tuple[float, ...]]) -> None:
        """Apply other settings; histograms whose buckets changed start at zero."""
        changed = [one for one in self._live if buckets.get(one) != self._buckets.get(one)]
        self.birth_hold, self._buckets = birth_hold, dict(buckets)
        for family in changed:
            self._forget(family)

    def clear(self, reader: str | None = None) -> None:
        """Remove every family, or those of one reader; saved series that were not created yet stay in that case."""
        for family in list(self._live):
            if reader is None or family.reader == reader:
                self._forget(family)
        if reader is None:
            self.unclaimed.clear()

    def restore(self, find_family: Callable[[FamilySpec], Family | None]) -> int:
        """Create the saved series whose family `find_family` returns and the caps allow; returns their number.

        To be called before the first event.
        """
        restored = 0
        for family in filter(None, map(find_family, self.unclaimed.list_families())):
            try:
                live = self._live.get(family) or self._open(family)
            except ValueError:
                continue
            # Folded series first, because others may be folded into them.
            for labels in sorted(live.unclaimed, key=lambda labels: OTHER not in labels):
                if self._has_room(live, labels):
                    self._add(live, labels)
                    restored += 1
            self.unclaimed.discard(live.unclaimed)
            live.unclaimed = {}
        return restored

    def list_persistent(self) -> list[LiveTable]:
        """The tables that the state file keeps. Any thread may call it."""
        return [live for family, live in self._live.copy().items() if family.kind is not Kind.GAUGE]

    def pop_removed_rows(self) -> list[int]:
        """Ids of rows to delete from the state file, each returned once. Only one thread may call it."""
        discarded = self.unclaimed.discarded
        removed = [self._removed.popleft() for _ in range(len(self._removed))]
        rows = [discarded.popleft() for _ in range(len(discarded))]
        return rows + [one.row for one in removed if isinstance(one, PersistentSeries | SummarySeries) and one.row]

    def get_or_create(self, family: Family, labels: Labels) -> Series | None:
        """The series with these labels; at the family's cap a coarser series, or None for a gauge.

        A family that is not in the catalogue is registered with its first series. Raises ValueError if its name is
        already used, if there are too many families, or if the labels do not fit.
        """
        live = self._live.get(family) or self._open(family)
        series = live.known.get(labels)
        if series is None:
            placed = self._place(live, clean_labels(family, labels))
            if placed is None:
                self._close_empty(live)
                return None
            series = live.known.get(placed) or self._add(live, placed)
        if family.ttl:
            live.seen[series.labels] = self.clock()
        return series

    def bounds(self, family: Family) -> tuple[float, ...]:
        """Upper bounds of a histogram's buckets, as configured."""
        return self._live[family].table.buckets

    def touch(self, family: Family, series: Series) -> None:
        """Note an event of a series whose family expires."""
        self._live[family].seen[series.labels] = self.clock()

    def observe(self, series: Series, value: float, weight: float) -> bool:
        """Observe a value `weight` times in a summary; other series are left to the caller.

        Returns False if the value was not accepted, because the sum would overflow.
        """
        return not isinstance(series, SummarySeries) or series.observe(value, weight, self.clock())

    def set(self, family: Family, series: Series, sender: bytes, value: float, *, relative: bool) -> bool:
        """Set a sender's value of a gauge; a series of another kind is not changed.

        A gauge that is not in the catalogue has one value for all senders. Returns False if the value was not accepted,
        because the gauge would overflow.
        """
        distinguished = sender if family.declared else b""
        if not isinstance(series, GaugeSeries):
            return True
        accepted = series.set(distinguished, value, self.clock(), relative=relative)
        if len(series.senders) > 1:
            self._live[family].shared.add(series.labels)
        return accepted

    def sweep(self) -> bool:
        """Reveal series, remove those that expired; True if any was removed. To be called about once a second."""
        now = self.clock()
        removed = False
        for family, live in list(self._live.items()):
            self._reveal(live, now)
            self._prune(family, live, now)
            if family.ttl and live.next_expiry_check <= now:
                pause = PERIODIC_EXPIRY_CHECK if family.periodic else max(1.0, family.ttl / EXPIRY_CHECKS_PER_TTL)
                live.next_expiry_check = now + pause
                removed = self._expire(family, live, now) or removed
        return removed

    def pop_expired_families(self) -> list[Family]:
        """Families that are not in the catalogue and whose last series expired, each returned once."""
        expired, self._expired_families = self._expired_families, []
        return expired

    def respell(self, correct: LabelCorrection) -> None:
        """Move the series of DAGs to corrected labels. Code that refers to a series has to get it again."""
        for family, live in self._live.items():
            if family.declared and "dag_id" in family.labels:
                for series in respell(live, correct):
                    self._remove(series)

    def _open(self, family: Family) -> LiveTable:
        self.budget.open(family)
        try:
            self._store.register(family)
        except ValueError:
            self.budget.close(family)
            raise
        table = FamilyTable(family, [], buckets=self._buckets.get(family))
        table.persistent = self._persistent and family.kind in (Kind.COUNTER, Kind.HISTOGRAM)
        live = self._live[family] = LiveTable(table, build_series_maker(table, self.clock, persistent=self._persistent))
        live.unclaimed = self.unclaimed.claim(live.table)
        self._store.attach(live.table)
        return live

    def _close_empty(self, live: LiveTable) -> None:
        """Remove a family that was created for a series which the cap does not allow."""
        family = live.table.family
        if not live.known and not family.declared:
            self._forget(family)
            # The family is not exposed, so its refused series cannot be reported by its name; the source counts them.
            self.refused.pop(family, None)

    def _has_room(self, live: LiveTable, labels: Labels) -> bool:
        cap = self._get_cap(live.table.family)
        return len(live.known) < (cap * 1.1 if OTHER in labels else cap)

    def _get_cap(self, family: Family) -> int:
        return self._store.cap(family) if self.budget.has_room(family) else 0

    def _place(self, live: LiveTable, labels: Labels) -> Labels | None:
        family, known = live.table.family, live.known
        cap = self._store.cap(family) if family.declared else self._get_cap(family)
        if len(known) < cap or labels in known:
            return labels
        # The budget of mapped series is exact: not even `_other` is added.
        if family.kind is Kind.GAUGE or not labels or (family.reader == MAPPED and not cap):
            self.refused[family] += 1
            return None
        self.folded[family] += 1
        return coarsen(family, labels, lambda one: one in known or len(known) < cap * 1.1)

    def _add(self, live: LiveTable, labels: Labels) -> Series:
        series = live.make(labels)
        if live.unclaimed:
            self._resume(live, series)
        live.known[series.labels] = series
        live.table.series.append(series)
        if not live.table.family.declared:
            self.budget.add(live.table.family, 1)
        if not series.revealed:
            live.hidden.append(series)
        return series

    def _resume(self, live: LiveTable, series: Series) -> None:
        """Continue from the value that an earlier process saved, if there is one."""
        row, seen = live.unclaimed.pop(series.labels, (None, 0.0))
        if row is None or not isinstance(series, PersistentSeries | SummarySeries):
            return
        series.resume(row.cells)
        live.row, series.row = row.family, row.id
        series.revealed = series.revealed or row.revealed
        if live.table.family.ttl:
            live.seen[series.labels] = seen

    def _reveal(self, live: LiveTable, now: float) -> None:
        hidden = live.hidden
        for _ in range(min(len(hidden), MAX_REVEALED_PER_SWEEP)):
            # A persistent series is revealed by the thread that writes the state file, after the write.
            if not (hidden[0].revealed if self._persistent else 0 < hidden[0].exposed_at <= now - self.birth_hold):
                break
            hidden.popleft().revealed = True

    def _prune(self, family: Family, live: LiveTable, now: float) -> None:
        if family.kind is Kind.SUMMARY:
            for window in live.known.values():
                if isinstance(window, SummarySeries):
                    window.turn(now)
        for labels in list(live.shared):
            series = live.known[labels]
            if isinstance(series, GaugeSeries):
                series.prune(now, family.ttl)
                if len(series.senders) == 1:
                    live.shared.discard(labels)

    def _expire(self, family: Family, live: LiveTable, now: float) -> bool:
        expired = [labels for labels, series in live.known.items() if live.expires_at(series) < now]
        if not expired:
            return False
        self.budget.add(family, -len(expired))
        for labels in expired:
            self._remove(live.known.pop(labels))
            live.seen.pop(labels, None)
            live.shared.discard(labels)
        live.table.series = list(live.known.values())
        live.hidden = deque(series for series in live.hidden if series.exposed_at != REMOVED)
        if not live.known and not family.declared:
            self._forget(family)
            self._expired_families.append(family)
        return True

    def _remove(self, series: Series) -> None:
        series.exposed_at = REMOVED
        if self._persistent and not isinstance(series, GaugeSeries):
            self._removed.append(series)

    def _forget(self, family: Family) -> None:
        live = self._live.pop(family)
        self.unclaimed.discard(live.unclaimed)
        for series in live.known.values():
            self._remove(series)
        self.budget.add(family, -len(live.known))
        if family.declared:
            self._store.withdraw([family])
        else:
            self._store.unregister(family)
            self.budget.close(family)
