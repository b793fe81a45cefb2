"""The series of one family that changes with every event, and when they expire."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from exporter.metrics.family import Kind, Labels
from exporter.store.senders import GaugeSeries, SummarySeries
from exporter.store.store import FamilyTable, PersistentSeries, Series
from exporter.store.unclaimed_rows import RowsByLabels


class LiveTable:
    """One family's table with its index and the times of its events."""

    __slots__ = ("hidden", "known", "make", "next_expiry_check", "row", "seen", "shared", "table", "unclaimed")

    def __init__(self, table: FamilyTable, make: Callable[[Labels], Series]) -> None:
        self.table = table
        self.make = make
        """Makes a series without events."""
        self.row = 0
        """The id of the family's row in the state file; 0 before the first write."""
        self.unclaimed: RowsByLabels = {}
        """Saved series of an earlier process that were not created yet."""
        self.known: dict[Labels, Series] = {}
        self.hidden: deque[Series] = deque()
        """Series that are exposed as 0, the oldest first: none is exposed before an older one."""
        self.seen: dict[Labels, float] = {}
        """The time of each series' last event, if the family expires. Gauges keep it themselves."""
        self.shared: set[Labels] = set()
        """Gauges with several senders."""
        self.next_expiry_check = 0.0

    def last_seen(self, series: Series) -> float:
        """When the last event of a series arrived, in monotonic seconds."""
        return series.seen if isinstance(series, GaugeSeries) else self.seen.get(series.labels, 0.0)

    def expires_at(self, series: Series) -> float:
        """When a series expires without another event, in monotonic seconds."""
        ttl = self.table.family.ttl
        if self.table.family.periodic and isinstance(series, GaugeSeries):
            return min(series.expires_periodic(ttl), series.seen + ttl)
        return self.last_seen(series) + ttl


def build_series_maker(
    table: FamilyTable, clock: Callable[[], float], *, persistent: bool
) -> Callable[[Labels], Series]:
    """The function that makes a series of a table. It is chosen once, because it is called for each new StatsD name."""
    family = table.family
    if family.kind is Kind.GAUGE:
        return lambda labels: GaugeSeries(labels, family.merge)
    if family.kind is Kind.SUMMARY:
        return lambda labels: SummarySeries(labels, family, clock())
    width = 1 if family.kind is Kind.COUNTER else len(table.buckets) + 2
    make, revealed = PersistentSeries if persistent else Series, not family.declared

    def make_series(labels: Labels) -> Series:
        series = make(labels, [0] * width)
        series.revealed = revealed
        return series

    return make_series
