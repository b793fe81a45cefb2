"""The thread that writes: in order, repeated after a failure, never in the way of whoever submits."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from exporter.events import writer
from exporter.events.writer import EventWriter


class Disk:
    """Keeps lines; `full` makes it fail, and `hangs` makes it block until it is set."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.full = False
        self.free = threading.Event()
        self.free.set()
        self.closed = 0

    def append(self, lines: Sequence[bytes]) -> None:
        self.free.wait(10)
        if self.full:
            raise OSError(28, "No space left on device")
        self.lines += lines

    def close(self) -> None:
        self.closed += 1


def test_lines_are_written_in_order_and_acknowledged() -> None:
    disk = Disk()
    events = EventWriter(disk)
    numbers = [events.submit(b"%d\n" % number) for number in range(2_500)]
    assert numbers == list(range(2_500))
    events.wait(numbers[-1], 10)
    assert (events.written, disk.lines[-1]) == (2_500, b"2499\n")
    events.close()
    assert disk.closed == 1


def test_what_could_not_be_written_is_written_later_once() -> None:
    disk = Disk()
    disk.full = True
    events = EventWriter(disk, retry_seconds=0.01)
    last = [events.submit(line) for line in (b"a\n", b"b\n")][-1]
    events.wait(last, 0.1)
    assert (events.written, events.failed_writes > 0) == (0, True)
    disk.full = False
    events.wait(last, 10)
    assert disk.lines == [b"a\n", b"b\n"]
    events.close()


def test_a_disk_that_hangs_holds_nobody_up() -> None:
    disk = Disk()
    disk.free.clear()
    events = EventWriter(disk)
    begun = time.monotonic()
    room = events.room
    last = [events.submit(b"a\n") for _ in range(100)][-1]
    events.wait(last, 0.05)
    assert time.monotonic() - begun < 5
    assert (events.written, events.room) == (0, room - 100)
    disk.free.set()
    events.wait(last, 10)
    assert events.room == writer.MAX_WAITING
    events.close()


def test_closing_writes_what_waits_and_gives_up_on_a_full_disk() -> None:
    disk = Disk()
    events = EventWriter(disk)
    events.submit(b"a\n")
    events.close()
    assert disk.lines == [b"a\n"]
    disk.full = True
    events.submit(b"b\n")
    events.close()
    assert (events.written, events.failed_writes) == (1, 1)


def test_it_goes_on_after_it_was_closed() -> None:
    disk = Disk()
    events = EventWriter(disk)
    events.submit(b"a\n")
    events.close()
    events.wait(events.submit(b"b\n"), 10)
    assert disk.lines == [b"a\n", b"b\n"]
    events.close()
