"""One family of live tables: its series, and what expiry, birth at zero and the state file have to know of them."""

from __future__ import annotations

from collections import deque

from exporter.metrics.family import Labels
from exporter.store.live_waiting import WaitingRows
from exporter.store.senders import Gauge
from exporter.store.store import Series, Table


class Live:
    """One family's table, and what the sweep has to know of it."""

    __slots__ = ("due", "hidden", "known", "row", "seen", "shared", "table", "waiting")

    def __init__(self, table: Table) -> None:
        self.table = table
        self.row = 0
        """The family's row in the state file; 0 for none."""
        self.waiting: WaitingRows = {}
        """Series that an earlier process kept and that are not made yet."""
        self.known: dict[Labels, Series] = {}
        self.hidden: deque[Series] = deque()
        """The oldest first: none is exposed before one that is older."""
        self.seen: dict[Labels, float] = {}
        """When a series was last sent, where its family expires; gauges know it themselves."""
        self.shared: set[Labels] = set()
        """Gauges that have several senders."""
        self.due = 0.0

    def touched(self, series: Series) -> float:
        """When it was last sent, in monotonic seconds."""
        return series.seen if isinstance(series, Gauge) else self.seen.get(series.labels, 0.0)

    def ends(self, series: Series) -> float:
        """When it expires unless it is sent again, in monotonic seconds."""
        ttl = self.table.family.ttl
        if self.table.family.periodic and isinstance(series, Gauge):
            return min(series.lapses(ttl), series.seen + ttl)
        return self.touched(series) + ttl
