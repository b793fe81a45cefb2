"""Live tables of an event source: series that change as events come.

One thread, the receiving one, creates, changes and removes series; renderings read without a lock. A counter or a
histogram of ours is born at zero, as a ledger's is: exposed as 0 first, and with its value `hold` seconds later.
What was not sent for as long as its family's `ttl` is removed, from a list that is replaced whole.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping

from exporter.metrics.family import OTHER, Family, Kind, Labels
from exporter.metrics.family_spec import FamilySpec
from exporter.store.ledger import coarsen
from exporter.store.live_table import Live
from exporter.store.live_waiting import Waiting
from exporter.store.respelling import Spell, respell
from exporter.store.senders import Gauge, Window
from exporter.store.store import Kept, Series, Store, Table, clean_labels

PATIENCE = 10
"""Into how many parts a TTL is split: so much later at most a series goes."""
FAMILIES = 25_000
"""How many families may come at run time."""
PERIODIC_SWEEP = 10.0
"""Seconds between searches for series of periodic families that expired."""
GONE = -1.0
"""What a series that was removed has as its `exposed_at`, for whoever still holds it."""
SERIES = 200_000
"""How many series all of them may have together."""
REVEALED = 5_000
"""How many series of a family are shown in one sweep: it must not take longer than the receive buffer has room."""


class Events:
    """The families that one event source feeds; `persistent` where the state file keeps what only grows."""

    def __init__(
        self,
        store: Store,
        *,
        hold: float = 30.0,
        buckets: Mapping[Family, tuple[float, ...]] | None = None,
        clock: Callable[[], float] = time.monotonic,
        persistent: bool = False,
    ) -> None:
        self._store = store
        self.hold = hold
        self._persistent = persistent
        self.waiting = Waiting()
        """What an earlier process kept."""
        self._gone: deque[Series] = deque()
        self._buckets = dict(buckets or {})
        self.clock = clock
        self._live: dict[Family, Live] = {}
        self._came = 0
        """How many families came at run time."""
        self._grown = 0
        """How many series these have."""
        self.folded: Counter[Family] = Counter()
        self.refused: Counter[Family] = Counter()

    def configure(self, hold: float, buckets: Mapping[Family, tuple[float, ...]]) -> None:
        """Go on with other settings: histograms whose buckets changed start anew."""
        changed = [one for one in self._live if buckets.get(one) != self._buckets.get(one)]
        self.hold, self._buckets = hold, dict(buckets)
        for family in changed:
            self._forget(family)

    def clear(self) -> None:
        """Forget every family."""
        for family in list(self._live):
            self._forget(family)
        self.waiting.clear()

    def restore(self, find_family: Callable[[FamilySpec], Family | None]) -> int:
        """Make what earlier processes kept, as far as the families are there and the caps leave room; returns how many.

        Only before anything is received.
        """
        restored = 0
        for family in filter(None, map(find_family, self.waiting.list_families())):
            try:
                live = self._live.get(family) or self._open(family)
            except ValueError:
                continue
            # What was folded comes first: others may fold into it.
            for labels in sorted(live.waiting, key=lambda labels: OTHER not in labels):
                if self._has_room(live, labels):
                    self._add(live, labels)
                    restored += 1
            self.waiting.discard(live.waiting)
            live.waiting = {}
        return restored

    def list_kept(self) -> list[Live]:
        """The tables of what only grows. Any thread may ask."""
        return [live for family, live in self._live.copy().items() if family.kind is not Kind.GAUGE]

    def take_gone(self) -> list[int]:
        """Rows of the state file that have to go, each once. Only one thread may ask."""
        discarded = self.waiting.discarded
        removed = [self._gone.popleft() for _ in range(len(self._gone))]
        gone = [discarded.popleft() for _ in range(len(discarded))]
        return gone + [one.row for one in removed if isinstance(one, Kept | Window) and one.row]

    def find(self, family: Family, labels: Labels) -> Series | None:
        """The series to change, made where it is new: a coarser one, or for gauges none, once the cap is reached.

        A family that came at run time exists from its first series on: one that gets none takes no name.
        Raises ValueError where the name is taken, there are too many families or the labels do not fit.
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
        """A histogram's buckets as configured."""
        return self._live[family].table.buckets

    def touch(self, family: Family, series: Series) -> None:
        """Something was sent for a series of a family that expires."""
        self._live[family].seen[series.labels] = self.clock()

    def observe(self, series: Series, value: float, weight: float) -> bool:
        """Take a value that stands for `weight` of them into a summary; a histogram's cells are the caller's.

        Returns whether it was taken: not where the sum would leave the finite.
        """
        return not isinstance(series, Window) or series.observe(value, weight, self.clock())

    def set(self, family: Family, series: Series, sender: bytes, value: float, *, relative: bool) -> bool:
        """A sender sets its share of a gauge; a series of another kind is left alone.

        Gauges of users' own names have one value, whoever sends it. Returns whether the value was taken: not where
        the gauge would leave the finite by a sum.
        """
        share = sender if family.declared else b""
        if not isinstance(series, Gauge):
            return True
        taken = series.set(share, value, self.clock(), relative=relative)
        if len(series.shares) > 1:
            self._live[family].shared.add(series.labels)
        return taken

    def sweep(self) -> bool:
        """Show what was hidden for long enough and remove what expired; says whether a series went."""
        now = self.clock()
        gone = False
        for family, live in list(self._live.items()):
            self._reveal(live, now)
            self._prune(family, live, now)
            if family.ttl and live.due <= now:
                live.due = now + (PERIODIC_SWEEP if family.periodic else max(1.0, family.ttl / PATIENCE))
                gone = self._expire(family, live, now) or gone
        return gone

    def respell(self, spell: Spell) -> None:
        """Let the series of DAGs go on under other labels. Whatever held one of them has to find it again."""
        for family, live in self._live.items():
            if family.declared and "dag_id" in family.labels:
                for series in respell(live, spell):
                    self._remove(series)

    def _open(self, family: Family) -> Live:
        if not family.declared:
            if self._came >= FAMILIES:
                raise ValueError("there are too many families that came at run time")
            self._came += 1
        try:
            self._store.register(family)
        except ValueError:
            self._came -= not family.declared
            raise
        live = self._live[family] = Live(Table(family, [], buckets=self._buckets.get(family)))
        live.table.kept = self._persistent and family.kind in (Kind.COUNTER, Kind.HISTOGRAM)
        live.waiting = self.waiting.claim(live.table)
        self._store.attach(live.table)
        return live

    def _close_empty(self, live: Live) -> None:
        """Let go of a family that was opened for a series which there is no room for."""
        family = live.table.family
        if not live.known and not family.declared:
            self._forget(family)
            # Its name is in no exposition, so that what was refused cannot be shown under it; the source counts it.
            self.refused.pop(family, None)

    def _has_room(self, live: Live, labels: Labels) -> bool:
        family = live.table.family
        cap = self._store.cap(family) if family.declared or self._grown < SERIES else 0
        return len(live.known) < (cap * 1.1 if OTHER in labels else cap)

    def _place(self, live: Live, labels: Labels) -> Labels | None:
        family, known = live.table.family, live.known
        if labels in known:
            return labels
        cap = self._store.cap(family) if family.declared or self._grown < SERIES else 0
        if len(known) < cap:
            return labels
        if family.kind is Kind.GAUGE or not labels:
            self.refused[family] += 1
            return None
        self.folded[family] += 1
        return coarsen(family, labels, lambda one: one in known or len(known) < cap * 1.1)

    def _add(self, live: Live, labels: Labels) -> Series:
        series = self._make(live.table, labels)
        self._resume(live, series)
        live.known[series.labels] = series
        live.table.series.append(series)
        self._grown += not live.table.family.declared
        if not series.shown:
            live.hidden.append(series)
        return series

    def _resume(self, live: Live, series: Series) -> None:
        """Let a series go on where an earlier process stopped, if it was there."""
        row, seen = live.waiting.pop(series.labels, (None, 0.0))
        if row is None or not isinstance(series, Kept | Window):
            return
        series.resume(row.cells)
        live.row, series.row = row.family, row.id
        series.shown = series.shown or row.shown
        if live.table.family.ttl:
            live.seen[series.labels] = seen

    def _make(self, table: Table, labels: Labels) -> Series:
        family = table.family
        if family.kind is Kind.GAUGE:
            return Gauge(labels, family.merge)
        if family.kind is Kind.SUMMARY:
            return Window(labels, family, self.clock())
        width = 1 if family.kind is Kind.COUNTER else len(table.buckets) + 2
        make = Kept if self._persistent else Series
        return make(labels, [0] * width, shown=not family.declared)

    def _reveal(self, live: Live, now: float) -> None:
        hidden = live.hidden
        for _ in range(min(len(hidden), REVEALED)):
            # What is kept is shown by the thread that writes the state file, once that is written.
            if not (hidden[0].shown if self._persistent else 0 < hidden[0].exposed_at <= now - self.hold):
                break
            hidden.popleft().shown = True

    def _prune(self, family: Family, live: Live, now: float) -> None:
        if family.kind is Kind.SUMMARY:
            for window in live.known.values():
                if isinstance(window, Window):
                    window.turn(now)
        for labels in list(live.shared):
            series = live.known[labels]
            if isinstance(series, Gauge):
                series.prune(now, family.ttl)
                if len(series.shares) == 1:
                    live.shared.discard(labels)

    def _expire(self, family: Family, live: Live, now: float) -> bool:
        dead = [labels for labels, series in live.known.items() if live.ends(series) < now]
        if not dead:
            return False
        self._grown -= 0 if family.declared else len(dead)
        for labels in dead:
            self._remove(live.known.pop(labels))
            live.seen.pop(labels, None)
            live.shared.discard(labels)
        live.table.series = list(live.known.values())
        live.hidden = deque(series for series in live.hidden if series.exposed_at != GONE)
        if not live.known and not family.declared:
            self._forget(family)
        return True

    def _remove(self, series: Series) -> None:
        series.exposed_at = GONE
        if self._persistent and not isinstance(series, Gauge):
            self._gone.append(series)

    def _forget(self, family: Family) -> None:
        live = self._live.pop(family)
        self.waiting.discard(live.waiting)
        for series in live.known.values():
            self._remove(series)
            self._grown -= not family.declared
        if family.declared:
            self._store.withdraw([family])
        else:
            self._store.unregister(family)
            self._came -= 1
