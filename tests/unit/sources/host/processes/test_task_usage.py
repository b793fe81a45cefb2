"""What the table of tries makes of tries that follow each other."""

from __future__ import annotations

from collections.abc import Mapping

from exporter.diagnosis.costs.rows import MemoryGrowth
from exporter.sources.directory import TaskKey
from exporter.sources.host.processes.peak_growth import MIN_PEAKS
from exporter.sources.host.processes.task_usage import MAX_IDLE_REPORTS, TryTable

SCAN_SECONDS = 15.0
MEBI = 1 << 20


class Names:
    """All tries are of one task."""

    polls = 0

    def __init__(self) -> None:
        self.growing: Mapping[tuple[str, str], MemoryGrowth] = {}

    def find_try(self, uuid: str) -> TaskKey | None:
        return TaskKey("nightly", "load")

    def record_growth(self, growing: Mapping[tuple[str, str], MemoryGrowth]) -> None:
        self.growing = growing


def scan(table: TryTable, running: Mapping[str, int], gone: str = "") -> None:
    """One scan that finds the processes of these tries, with their peaks, and misses those of another one."""
    for uuid, peak in running.items():
        one = table.get_or_create(uuid, uuid, None)
        one.process_count, one.peak = 1, peak
    if gone:
        table.get_or_create(gone, gone, None).process_count = 0
    table.note_running()


def report(table: TryTable) -> None:
    """One reading of the tasks, some time after a scan."""
    list(table.take_changes())
    table.compute_growth()


def test_a_try_that_begins_before_the_end_of_the_one_before_is_reported_is_a_try_of_its_own() -> None:
    names, now = Names(), 0.0
    table = TryTable(names, clock=lambda: now)
    for number in range(MIN_PEAKS):
        scan(table, {f"try {number}": (number + 1) * 100 * MEBI}, gone=f"try {number - 1}" if number else "")
        now += SCAN_SECONDS
        report(table)
    for _ in range(MAX_IDLE_REPORTS + 1):
        scan(table, {}, gone=f"try {MIN_PEAKS - 1}")
        report(table)
    growth = names.growing["nightly", "load"]
    assert (growth.tries, growth.steady) == (MIN_PEAKS, True)


def test_tries_that_are_seen_together_count_as_one() -> None:
    names, now = Names(), 0.0
    table = TryTable(names, clock=lambda: now)
    for _ in range(2):
        scan(table, {f"map {number}": (number + 1) * 100 * MEBI for number in range(MIN_PEAKS)})
        now += SCAN_SECONDS
    for number in range(MIN_PEAKS):
        scan(table, {}, gone=f"map {number}")
    for _ in range(MAX_IDLE_REPORTS + 1):
        report(table)
    assert names.growing == {}
