"""What the writer of StatsD's counters holds while the state file cannot be written."""

from __future__ import annotations

import gc
from contextlib import suppress

import pytest

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


class OtherDisk(StateFile):
    """A file that can be lost: for some time, or with its content."""

    is_lost = False

    def verify(self) -> None:
        if self.is_lost:
            raise StateError("the folder is gone")
        super().verify()


class Bench:
    """Tables with a saver and a clock in hand."""

    def __init__(self, state: StateFile) -> None:
        self.now = 1000.0
        self.state = state
        self.tables = LiveTables(Store([], clock=lambda: self.now), clock=lambda: self.now, persistent=True)
        self.saver = LiveSaver(self.tables, state)

    def create(self, name: str, value: float = 0) -> PersistentSeries:
        series = self.tables.get_or_create(ROWS, (name,))
        assert isinstance(series, PersistentSeries)
        series.value = value
        return series

    def read_file(self) -> dict[str, list[float]]:
        return {row.labels[0]: row.cells for row in self.state.read_live().rows}


def test_counters_go_on_while_the_file_cannot_be_checked_and_are_written_afterwards() -> None:
    state = OtherDisk()
    bench = Bench(state)
    old, quiet = bench.create("old", 1), bench.create("quiet", 2)
    bench.saver.save()
    state.is_lost = True
    new = bench.create("new", 5)
    for count in (3, 4):
        old.value = count
        with pytest.raises(StateError):
            bench.saver.save()
        assert (old.saved, new.saved) == (count, 5), "what is exposed"
    assert bench.read_file() == {"old": [1], "quiet": [2]}
    state.is_lost = False
    bench.saver.save()
    assert bench.read_file() == {"old": [4], "quiet": [2], "new": [5]}
    assert quiet.saved == 2


def test_series_that_expire_while_the_file_cannot_be_checked_do_not_fill_the_memory_and_leave_it() -> None:
    state = OtherDisk()
    bench = Bench(state)
    bench.create("e0", 1)
    bench.saver.save()
    state.is_lost = True
    for number in range(1, 20):
        bench.now += 100.0
        bench.tables.sweep()
        bench.create(f"e{number}", 1)
        with suppress(StateError):
            bench.saver.save()
    gc.collect()
    held = [one for one in gc.get_objects() if isinstance(one, PersistentSeries) and one.labels[0].startswith("e")]
    assert len(held) <= 2
    state.is_lost = False
    bench.saver.save()
    assert bench.read_file() == {"e19": [1]}


@pytest.mark.parametrize("moment", ["_find_changed", "_make_changes", "write_live"])
def test_everything_is_written_again_if_the_file_loses_its_content_during_a_write(
    monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Another thread, which counts what Airflow's API shows, finds and restores it meanwhile."""
    state = OtherDisk()
    bench = Bench(state)
    quiet = [bench.create(f"q{number}", 1) for number in range(100)]
    busy = bench.create("busy", 1)
    bench.saver.save()
    owner = state if moment == "write_live" else bench.saver
    run = getattr(owner, moment)

    def lose_and_run(*arguments: object, **options: object) -> object:
        StateFile.write_live(state, LiveChanges(everything=True), {})
        state.generation += 1
        return run(*arguments, **options)

    busy.value = 2
    with monkeypatch.context() as patch:
        patch.setattr(owner, moment, lose_and_run)
        bench.saver.save()
    bench.saver.save()
    assert bench.read_file() == {"busy": [2], **{one.labels[0]: [1] for one in quiet}}
    written = state.last_write
    bench.saver.save()
    assert state.last_write == written, "once is enough"
