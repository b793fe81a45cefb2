"""Histograms' lines are cached until a cell changes, and only as many as memory allows."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.metrics.family import Family, Kind
from exporter.store import rendering
from exporter.store.exposition import Format, render
from exporter.store.store import FamilyTable, Series, Store

WAIT = Family("airflow_wait_seconds", Kind.HISTOGRAM, "How long it waited", ("queue",), buckets=(0.5, 60))
LOOP = Family("airflow_loop_seconds", Kind.HISTOGRAM, "How long a loop takes", ("host",), buckets=(1,))


def make_store(count: int) -> tuple[Store, list[Series]]:
    series = [Series((f"queue_{number}",), [number, 0, 2, 1.5]) for number in range(count)]
    store = Store([LOOP, WAIT])
    store.attach(FamilyTable(WAIT, series))
    return store, series


def text(store: Store, *names: str) -> bytes:
    return b"".join(render(store, Format.TEXT, frozenset(names)))


def render_afresh(series: list[Series]) -> bytes:
    store = Store([WAIT])
    store.attach(FamilyTable(WAIT, [Series(one.labels, list(one.cells)) for one in series]))
    return text(store)


def count_cached(series: list[Series]) -> int:
    return sum(len(one.text) for one in series if isinstance(one.rendered_value, list))


def test_an_unchanged_histogram_is_not_rendered_again() -> None:
    store, (series, _) = make_store(2)
    text(store)
    before = series.text
    assert text(store).count(before) == 1
    assert series.text is before


changes = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 2)), max_size=5)


@given(st.lists(changes, max_size=5))
def test_after_any_change_the_text_is_the_one_of_a_new_rendering(rounds: list[list[tuple[int, int, int]]]) -> None:
    store, series = make_store(3)
    for changed in rounds:
        for place, cell, by in changed:
            series[place].cells[cell] += by
        assert text(store) == render_afresh(series)


def test_other_threads_may_change_cells_while_they_are_rendered() -> None:
    store, series = make_store(100)
    done = threading.Event()

    def scrape() -> None:
        while not done.is_set():
            text(store)

    threads = [threading.Thread(target=scrape) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(30):
        for one in series:
            one.cells[1] += 1
            one.cells[-1] += 0.25
    done.set()
    for thread in threads:
        thread.join()
    assert text(store) == render_afresh(series)


def test_the_bytes_that_are_cached_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "BLOCK_LINES", 50)
    store, series = make_store(100)
    text(store)
    whole = count_cached(series)
    assert whole > 20_000
    monkeypatch.setattr(rendering, "MAX_HISTOGRAM_TEXT", 5_000)
    assert text(store) == render_afresh(series)
    assert 5_000 <= count_cached(series) < 5_000 + 50 * 50


def test_what_no_longer_fits_is_dropped_when_families_before_it_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    store, series = make_store(10)
    text(store)
    monkeypatch.setattr(rendering, "MAX_HISTOGRAM_TEXT", 2_000)
    store.attach(FamilyTable(LOOP, [Series((f"host_{number}",), [1, 0, 0.5]) for number in range(20)]))
    assert text(store, "airflow_wait_seconds") == render_afresh(series)
    assert count_cached(series) > 0
    text(store)
    assert count_cached(series) == 0
    assert text(store, "airflow_wait_seconds") == render_afresh(series)


def test_a_pass_over_some_families_caches_nothing() -> None:
    store, series = make_store(10)
    assert text(store, "airflow_wait_seconds") == render_afresh(series)
    assert count_cached(series) == 0
