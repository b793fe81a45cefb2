"""What the writer of StatsD's counters holds while the state file cannot be written."""

from __future__ import annotations

import gc
from contextlib import suppress

from exporter.metrics.family import Family, Kind
from exporter.store.live_rows import LiveChanges
from exporter.store.live_tables import LiveTables
from exporter.store.persistence.live_saver import LiveSaver
from exporter.store.persistence.state_file import StateFile
from exporter.store.persistence.state_store import StateError
from exporter.store.store import PersistentSeries, Store

ROWS = Family("rows_total", Kind.COUNTER, "Rows", ("name",), ttl=10.0, declared=False)


class FullDisk(StateFile):
    def write_live(self, changes: LiveChanges, memories: object) -> None:
        raise StateError("the disk is full")


def test_series_that_expire_meanwhile_do_not_fill_the_memory() -> None:
    now = 1000.0
    store = Store([], clock=lambda: now)
    tables = LiveTables(store, clock=lambda: now, persistent=True)
    saver = LiveSaver(tables, FullDisk())
    for number in range(20):
        series = tables.get_or_create(ROWS, (f"n{number}",))
        assert isinstance(series, PersistentSeries)
        series.value = 1
        with suppress(StateError):
            saver.save()
        now += 100.0
        tables.sweep()
    gc.collect()
    held = [one for one in gc.get_objects() if isinstance(one, PersistentSeries) and one.labels[0].startswith("n")]
    assert len(held) <= 2
