"""The log of what ended: each reader reads every entry once, or learns how many it missed."""

from __future__ import annotations

from exporter.sources.airflow.ended_log import EndedLog


class Reader:
    """Reads a log on and on."""

    def __init__(self, log: EndedLog[str]) -> None:
        self.log = log
        self.position = log.open(self)

    def read(self) -> tuple[str, ...]:
        batch = self.log.read_from(self.position, self)
        self.position = batch.position
        return batch.entries


def test_a_reader_gets_what_came_after_its_position() -> None:
    log: EndedLog[str] = EndedLog()
    early = Reader(log)
    log.extend("ab")
    late = Reader(log)
    assert early.read() == ("a", "b")
    log.extend("c")
    assert early.read() == late.read() == ("c",)
    assert early.read() == ()


def test_a_reader_that_could_not_commit_reads_the_same_again() -> None:
    log: EndedLog[str] = EndedLog()
    reader = Reader(log)
    log.extend("a")
    log.read_from(reader.position, reader)
    log.extend("b")
    assert reader.read() == ("a", "b")


def test_a_slow_reader_learns_how_many_entries_it_missed() -> None:
    log: EndedLog[int] = EndedLog(max_entries=3)
    log.extend(range(5))
    batch = log.read_from(0, log)
    assert batch.entries == (2, 3, 4)
    assert batch.missed == 2
    assert batch.position == 5


def test_what_all_readers_have_read_is_not_kept() -> None:
    log: EndedLog[str] = EndedLog()
    quick, slow = Reader(log), Reader(log)
    for number in range(100):
        log.extend(str(number))
        quick.read()
    assert len(slow.read()) == 190
    for _ in range(2):
        log.extend("x")
        quick.read()
        slow.read()
    assert len(log) == 2


def test_a_reader_that_is_gone_keeps_nothing() -> None:
    log: EndedLog[str] = EndedLog()
    reader = Reader(log)
    Reader(log)  # of a connection that was lost
    for entry in "abcd":
        log.extend(entry)
        reader.read()
    assert len(log) == 2
