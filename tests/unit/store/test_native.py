"""Native histograms have a bounded number of buckets, and outlive restarts and changes of the configuration."""

from __future__ import annotations

from random import Random

import pytest

from exporter.metrics.family import Family, HistogramForm, Kind
from exporter.metrics.reading import Change
from exporter.store.ledger import Ledger, LedgerRow
from exporter.store.native import MAX_BUCKETS, ZERO_THRESHOLD, find_index, list_buckets, observe

BOUNDS = (0.5, 60.0)
WAIT = Family("airflow_wait_seconds", Kind.HISTOGRAM, "How long it waited", ("queue",), buckets=BOUNDS)
START = len(BOUNDS) + 1
VALUES = [0.0, 0.1, 0.1, 3.0, 60.0, 61.0, 1e6]


def make_ledger(form: HistogramForm, rows: list[LedgerRow] | None = None) -> tuple[Ledger, int]:
    ledger = Ledger([WAIT], birth_hold=0.0, forms={WAIT: form})
    return ledger, ledger.restore(rows or [])


def count(ledger: Ledger, values: list[float]) -> None:
    ledger.publish(ledger.stage([Change(WAIT, ("a",), value) for value in values]))


def get_cells(ledger: Ledger) -> list[float]:
    series = ledger.series(WAIT, ("a",))
    assert series is not None
    return series.cells


def test_no_more_buckets_than_allowed_and_no_observation_lost() -> None:
    random = Random(3)
    cells: list[float] = [0, 0, 0, 0, 0, 0]
    values = [random.lognormvariate(0, 6) for _ in range(3000)]
    for value in values:
        observe(cells, START, value)
    native = cells[START:-1]
    buckets = list_buckets(native)
    assert len(buckets) <= MAX_BUCKETS
    assert native[0] >= 1
    assert [index for index, _ in buckets] == sorted({index for index, _ in buckets})
    expected: dict[int, int] = {}
    for value in values:
        if value > ZERO_THRESHOLD:
            index = find_index(value, int(native[0]))
            expected[index] = expected.get(index, 0) + 1
    assert dict(buckets) == expected
    assert native[1] == sum(value <= ZERO_THRESHOLD for value in values)


@pytest.mark.parametrize(("value", "index"), [(1.0, 0), (2.0, 8), (2**0.125, 1), (1.0001, 1), (0.5, -8), (0.51, -7)])
def test_a_bound_belongs_to_the_bucket_below(value: float, index: int) -> None:
    assert find_index(value, 0) == index


@pytest.mark.parametrize(("merged", "index"), [(1, 4), (2, 2), (3, 1)])
def test_a_merged_bucket_holds_two(merged: int, index: int) -> None:
    assert find_index(2.0, merged) == index


def test_a_restart_changes_nothing() -> None:
    before, _ = make_ledger(HistogramForm.NATIVE)
    count(before, VALUES)
    after, unfit = make_ledger(HistogramForm.BOTH, before.dump())
    assert (unfit, get_cells(after)) == (0, get_cells(before))


def test_classic_counts_are_continued_when_native_histograms_are_switched_on() -> None:
    before, _ = make_ledger(HistogramForm.CLASSIC)
    count(before, VALUES)
    after, unfit = make_ledger(HistogramForm.NATIVE, before.dump())
    cells = get_cells(after)
    assert (unfit, cells[:START], cells[-1]) == (0, get_cells(before)[:START], get_cells(before)[-1])
    assert cells[START + 1] + sum(many for _, many in list_buckets(cells[START:-1])) == len(VALUES)
    count(after, [3.0])
    assert get_cells(after)[-1] == sum(VALUES) + 3


def test_classic_counts_are_continued_when_they_are_switched_off() -> None:
    before, _ = make_ledger(HistogramForm.BOTH)
    count(before, VALUES)
    after, unfit = make_ledger(HistogramForm.CLASSIC, before.dump())
    expected, _ = make_ledger(HistogramForm.CLASSIC)
    count(expected, VALUES)
    assert (unfit, get_cells(after)) == (0, get_cells(expected))


def test_other_buckets_start_at_zero_in_each_form() -> None:
    before, _ = make_ledger(HistogramForm.NATIVE)
    count(before, VALUES)
    other = Ledger([WAIT], buckets={WAIT: (1.0,)}, forms={WAIT: HistogramForm.NATIVE})
    assert other.restore(before.dump()) == 1
