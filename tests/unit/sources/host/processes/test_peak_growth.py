"""Growth of a task's peak memory: over tries that follow each other, bounded, and not from a single odd try."""

from __future__ import annotations

import pytest

from exporter.sources.host.processes import peak_growth
from exporter.sources.host.processes.peak_growth import MAX_PEAKS, PeakGrowth

TASK = ("orders", "load")


def record(growth: PeakGrowth, *peaks: int, labels: tuple[str, ...] = TASK, begin: float = 0.0) -> None:
    for number, peak in enumerate(peaks):
        growth.record(labels, peak, begin + 60.0 * number, begin + 60.0 * number + 20)


def test_growth_compares_the_newest_two_with_the_oldest_two() -> None:
    growth = PeakGrowth()
    record(growth, 100, 110, 150, 200, 220)
    found = growth.compute()[TASK]
    assert found.ratio == pytest.approx(2.0)
    assert found.steady
    assert found.tries == 5


def test_four_tries_say_nothing() -> None:
    growth = PeakGrowth()
    record(growth, 100, 200, 300, 400)
    assert growth.compute() == {}


def test_one_odd_try_is_not_steady() -> None:
    growth = PeakGrowth()
    record(growth, 100, 100, 100, 100, 300)
    assert not growth.compute()[TASK].steady


def test_only_the_last_peaks_are_remembered() -> None:
    growth = PeakGrowth()
    record(growth, *[100] * 3, *[400] * MAX_PEAKS)
    found = growth.compute()[TASK]
    assert (found.ratio, found.tries) == (1.0, MAX_PEAKS)


def test_tries_side_by_side_count_as_one() -> None:
    growth = PeakGrowth()
    for peak in (100, 300, 200, 150, 120, 500):
        growth.record(TASK, peak, 0.0, 30.0)
    assert growth.compute() == {}
    record(growth, 500, 500, 500, 500, begin=40.0)
    assert growth.compute()[TASK].ratio == 1.0


@pytest.mark.parametrize("labels", [("orders", ""), ("_unknown", "_unknown"), ("_other", "_other")])
def test_tasks_that_share_their_labels_are_left_out(labels: tuple[str, str]) -> None:
    growth = PeakGrowth()
    record(growth, *range(100, 700, 100), labels=labels)
    assert growth.compute() == {}


def test_the_number_of_tasks_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peak_growth, "MAX_TASKS", 2)
    growth = PeakGrowth()
    for name in "abc":
        record(growth, 1, 2, 3, 4, 5, labels=("orders", name))
    assert sorted(growth.compute()) == [("orders", "b"), ("orders", "c")]
