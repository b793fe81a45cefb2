"""The state of a reader, which pages and scrapes read from other threads while it changes."""

from __future__ import annotations

from exporter.collect.reader_state import MAX_CYCLES, ReaderState
from exporter.collect.status import ReadCycle, ReaderStatus


def make_cycle(started: float) -> ReadCycle:
    return ReadCycle("tasks", started, 0.1, "ok")


def test_who_walks_the_last_reads_sees_them_as_they_were_when_the_next_one_ends() -> None:
    state = ReaderState(ReaderStatus("tasks", "", 5.0, 5.0))
    state.record_cycle(make_cycle(1.0))
    walk = iter(state.cycles)
    state.record_cycle(make_cycle(2.0))
    seen = [cycle.started for cycle in walk]
    assert seen == [1.0]
    assert [cycle.started for cycle in state.cycles] == [2.0, 1.0]


def test_only_the_newest_reads_are_kept() -> None:
    state = ReaderState(ReaderStatus("tasks", "", 5.0, 5.0))
    for number in range(MAX_CYCLES + 3):
        state.record_cycle(make_cycle(float(number)))
    assert [cycle.started for cycle in state.cycles] == [float(MAX_CYCLES + 2 - back) for back in range(MAX_CYCLES)]
