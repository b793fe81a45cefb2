"""The log of what ended: each reader reads every entry once, or learns how many it missed."""

from __future__ import annotations

from exporter.sources.airflow.ended_log import EndedLog


def test_a_reader_gets_what_came_after_its_position() -> None:
    log: EndedLog[str] = EndedLog()
    log.extend(["a", "b"])
    first = log.read_from(0)
    log.extend(["c"])
    assert first.entries == ("a", "b")
    assert log.read_from(first.position).entries == ("c",)
    assert log.read_from(log.position).entries == ()


def test_a_slow_reader_learns_how_many_entries_it_missed() -> None:
    log: EndedLog[int] = EndedLog(max_entries=3)
    log.extend(range(5))
    batch = log.read_from(0)
    assert batch.entries == (2, 3, 4)
    assert batch.missed == 2
    assert batch.position == 5


def test_readers_do_not_disturb_each_other() -> None:
    log: EndedLog[str] = EndedLog()
    log.extend(["a"])
    assert log.read_from(0).entries == log.read_from(0).entries == ("a",)
