"""The exposition says what Prometheus asks for, in chunks, and of new series the zero first."""

from __future__ import annotations

import gzip
import math
import os
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.utils import floatToGoString

from exporter.metrics.catalogue.families import FAMILIES
from exporter.metrics.family import Family, Kind, Labels
from exporter.metrics.reading import Change
from exporter.store.exposition import Format, render
from exporter.store.ledger import Ledger
from exporter.store.rendering import CHUNK_BYTES
from exporter.store.store import FamilyTable, Scope, Series, Store
from exporter.store.text_format import format_bound
from exporter.web.compression import GZIP_WBITS, compress

write_float: Callable[[float], str] = floatToGoString

SLOTS = Family("airflow_pool_slots", Kind.GAUGE, "Slots that the pool has", ("pool",))
TRIES = Family("airflow_task_tries_total", Kind.COUNTER, "Tries that ran", ("dag_id", "task_id"))
WAIT = Family("airflow_wait_seconds", Kind.HISTOGRAM, "How long it waited", ("queue",), buckets=(0.5, 60))
LOOP = Family("airflow_loop_seconds", Kind.HISTOGRAM, "How long a loop takes", buckets=(1,))
UP = Family("airflow_up", Kind.GAUGE, "Whether it is up")


def make_store(
    *tables: tuple[Family, Mapping[Any, Sequence[float]]], scope: Scope = (), revealed: bool = True
) -> Store:
    store = Store([SLOTS, TRIES, WAIT, LOOP, UP])
    for family, values in tables:
        series = [Series(labels, list(cells), revealed=revealed) for labels, cells in values.items()]
        store.attach(FamilyTable(family, series, scope=scope))
    return store


def text(
    store: Store, form: Format = Format.TEXT, *names: str, mark_exposed: bool = True, reveal_all: bool = False
) -> str:
    return b"".join(render(store, form, frozenset(names), mark_exposed=mark_exposed, reveal_all=reveal_all)).decode()


def samples(store: Store, *names: str, reveal_all: bool = False) -> list[str]:
    lines = text(store, Format.TEXT, *names, reveal_all=reveal_all).splitlines()
    return [line for line in lines if not line.startswith("#")]


# ---- the two formats ------------------------------------------------------------------------------

EVERYTHING: tuple[tuple[Family, Mapping[Any, Sequence[float]]], ...] = (
    (SLOTS, {("default_pool",): [128], ("unlimited",): [math.inf]}),
    (TRIES, {("etl", "load"): [3]}),
    (WAIT, {("gpu",): [1, 0, 2, 130.5]}),
    (LOOP, {(): [4, 0, 2.5]}),
    (UP, {(): [1]}),
)


def test_text_of_every_kind(golden: Callable[[str, bytes], None]) -> None:
    golden("exposition/every-kind.txt", text(make_store(*EVERYTHING)).encode())


def test_openmetrics_of_every_kind(golden: Callable[[str, bytes], None]) -> None:
    golden("exposition/every-kind.openmetrics", text(make_store(*EVERYTHING), Format.OPENMETRICS).encode())


def test_the_two_formats_have_the_same_sample_lines() -> None:
    store = make_store(*EVERYTHING)
    openmetrics = [line for line in text(store, Format.OPENMETRICS).splitlines() if not line.startswith("#")]
    assert samples(store) == openmetrics


def test_nothing_is_nothing_in_text_and_an_end_in_openmetrics() -> None:
    assert text(make_store()) == ""
    assert text(make_store(), Format.OPENMETRICS) == "# EOF\n"


@pytest.mark.parametrize(
    ("value", "spelled"),
    [
        (0, "0"),
        (7, "7"),
        (-2, "-2"),
        (2**60, "1152921504606846976"),
        (1.0, "1.0"),
        (0.1, "0.1"),
        (1e300, "1e+300"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
        (math.nan, "NaN"),
    ],
)
def test_values(value: float, spelled: str) -> None:
    assert samples(make_store((UP, {(): [value]}))) == [f"airflow_up {spelled}"]
    assert samples(make_store((LOOP, {(): [0, 0, value]})))[-2] == f"airflow_loop_seconds_sum {spelled}"


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_bounds_are_spelled_like_prometheus_clients(bound: float) -> None:
    assert format_bound(bound) == write_float(bound)


@pytest.mark.parametrize("bound", [1, 0.5, 1e5, 1e6, 1_234_567, 2_592_000, 12_345_678.9, 1e15, 1e16, 1.5e17, 1e22])
def test_bounds_as_they_are_configured(bound: float) -> None:
    assert format_bound(bound) == write_float(bound)


def test_label_values_are_escaped() -> None:
    store = make_store((SLOTS, {('a"b\\c\nd{e}=,%s é \0',): [1]}))
    assert samples(store) == ['airflow_pool_slots{pool="a\\"b\\\\c\\nd{e}=,%s é \0"} 1']


def test_label_values_of_a_histogram_are_escaped_too() -> None:
    store = make_store((WAIT, {('a"b\\c\nd%s\0',): [0, 0, 0, 0]}))
    assert samples(store)[-1] == 'airflow_wait_seconds_count{queue="a\\"b\\\\c\\nd%s\0"} 0'


def test_text_that_is_no_valid_unicode_does_not_break_the_exposition() -> None:
    store = Store([SLOTS])
    store.publish({SLOTS: {("caf\udce9",): 1}})
    assert samples(store) == ['airflow_pool_slots{pool="caf?"} 1']


def test_help_is_escaped_as_each_format_wants_it() -> None:
    family = Family("airflow_odd", Kind.GAUGE, 'A "quoted" back\\slash and a\nline')
    store = Store([family])
    store.publish({family: {(): 1}})
    assert text(store).startswith('# HELP airflow_odd A "quoted" back\\\\slash and a\\nline\n')
    assert text(store, Format.OPENMETRICS).startswith('# HELP airflow_odd A \\"quoted\\" back\\\\slash and a\\nline\n')


# ---- families, tables, scopes ---------------------------------------------------------------------


def test_scope_labels_come_first_and_help_and_type_once() -> None:
    store = Store([SLOTS])
    store.publish({SLOTS: {("a",): 1}}, scope=(("airflow", "prod"),))
    store.publish({SLOTS: {("a",): 2}}, scope=(("airflow", 'te"st %d'),))
    assert text(store) == (
        "# HELP airflow_pool_slots Slots that the pool has\n"
        "# TYPE airflow_pool_slots gauge\n"
        'airflow_pool_slots{airflow="prod",pool="a"} 1\n'
        'airflow_pool_slots{airflow="te\\"st %d",pool="a"} 2\n'
    )


def test_a_scope_stands_alone_where_the_family_has_no_labels() -> None:
    store = make_store((UP, {(): [1]}), (LOOP, {(): [0, 0, 0]}), scope=(("airflow", "prod"),))
    assert 'airflow_up{airflow="prod"} 1' in samples(store)
    assert 'airflow_loop_seconds_bucket{airflow="prod",le="+Inf"} 0' in samples(store)
    assert 'airflow_loop_seconds_count{airflow="prod"} 0' in samples(store)


def test_the_order_is_the_same_at_every_scrape() -> None:
    store = make_store(*reversed(EVERYTHING))
    assert text(store) == text(store) == text(make_store(*EVERYTHING))


# ---- ?name[]= -------------------------------------------------------------------------------------


def test_a_family_name_keeps_the_family() -> None:
    store = make_store(*EVERYTHING)
    whole = text(store)
    start = whole.index("# HELP airflow_wait_seconds")
    assert text(store, Format.TEXT, "airflow_wait_seconds") == whole[start : whole.index("# HELP airflow_loop_seconds")]


def test_a_counter_is_known_by_both_its_names() -> None:
    store = make_store(*EVERYTHING)
    assert samples(store, "airflow_task_tries_total") == samples(store, "airflow_task_tries") != []


def test_a_sample_name_keeps_these_samples_only() -> None:
    store = make_store(*EVERYTHING)
    assert samples(store, "airflow_wait_seconds_sum", "airflow_loop_seconds_count") == [
        'airflow_wait_seconds_sum{queue="gpu"} 130.5',
        "airflow_loop_seconds_count 4",
    ]


def test_a_name_that_nothing_has_keeps_nothing() -> None:
    assert text(make_store(*EVERYTHING), Format.TEXT, "up") == ""
    assert text(make_store(*EVERYTHING), Format.OPENMETRICS, "up") == "# EOF\n"


def test_odd_label_values_survive_the_filter() -> None:
    store = make_store((WAIT, {("a\rb\u2028c\x0bd",): [0, 0, 0, 0]}))
    (line,) = text(store, Format.TEXT, "airflow_wait_seconds_sum").split("\n")[2:-1]
    assert line == 'airflow_wait_seconds_sum{queue="a\rb\u2028c\x0bd"} 0'


# ---- series that are not shown yet ----------------------------------------------------------------


def hidden(store: Store) -> list[Series]:
    return [series for _, tables in store.walk() for table in tables for series in table.series if not series.revealed]


def test_what_is_not_shown_is_zero() -> None:
    store = make_store((TRIES, {("etl", "load"): [3]}), (LOOP, {(): [1, 1, 7.5]}), revealed=False)
    assert [line.rpartition(" ")[2] for line in samples(store)] == ["0"] * 5


def test_zeros_are_noted_once_after_the_first_complete_scrape() -> None:
    store = make_store((TRIES, {("etl", "load"): [3]}), revealed=False)
    (series,) = hidden(store)
    store.clock = lambda: 50.0
    chunks = render(store, Format.TEXT)
    next(chunks)
    assert series.exposed_at == 0
    assert next(chunks) == b""
    assert series.exposed_at == 0
    assert next(chunks, None) is None
    assert series.exposed_at == 50
    store.clock = lambda: 80.0
    text(store)
    assert series.exposed_at == 50


@pytest.mark.parametrize("count", [1, 5000])
@pytest.mark.parametrize("packed", [False, True])
def test_a_client_that_goes_away_before_the_end_has_seen_nothing(count: int, packed: bool) -> None:
    store = make_store((TRIES, {("etl", str(number)): [3] for number in range(count)}), revealed=False)
    chunks = render(store, Format.TEXT)
    assert isinstance(chunks, Generator)
    seen = compress(chunks) if packed else filter(None, chunks)
    unpacker = zlib.decompressobj(GZIP_WBITS)
    for chunk in seen:
        if not packed or (unpacker.decompress(chunk) and unpacker.eof):
            break
    chunks.close()
    assert {series.exposed_at for series in hidden(store)} == {0}


def test_what_a_filter_left_out_was_not_seen() -> None:
    store = make_store((TRIES, {("etl", "load"): [3]}), (LOOP, {(): [1, 1, 7.5]}), revealed=False)
    text(store, Format.TEXT, "airflow_task_tries_total")
    assert [bool(series.exposed_at) for series in hidden(store)] == [True, False]


@pytest.mark.parametrize("reveal_all", [False, True])
def test_an_unmarked_rendering_leaves_no_trace(reveal_all: bool) -> None:
    store = make_store((TRIES, {("etl", "load"): [3]}), revealed=False)
    text(store, mark_exposed=False, reveal_all=reveal_all)
    assert [series.exposed_at for series in hidden(store)] == [0]


def test_the_truth_is_told_on_request_and_only_then() -> None:
    store = make_store((TRIES, {("etl", "load"): [3]}), (LOOP, {(): [1, 1, 7.5]}), revealed=False)
    for _ in range(2):
        assert samples(store, "airflow_task_tries") == ['airflow_task_tries_total{dag_id="etl",task_id="load"} 0']
        assert samples(store, reveal_all=True)[0].endswith(" 3")
        assert samples(store, reveal_all=True)[-1] == "airflow_loop_seconds_count 2"
    assert [series.exposed_at > 0 for series in hidden(store)] == [True, False]


def test_a_series_that_is_shown_from_now_on_shows_its_value() -> None:
    store = make_store((TRIES, {("etl", "load"): [3]}), revealed=False)
    text(store)
    hidden(store)[0].revealed = True
    assert samples(store)[0].endswith(" 3")


# ---- kept lines -----------------------------------------------------------------------------------


@given(st.lists(st.one_of(st.integers(0, 3), st.sampled_from([0.5, 1e22, math.nan, math.inf, -math.inf])), max_size=9))
def test_a_line_says_the_value_of_the_moment_whatever_it_said_before(steps: list[float]) -> None:
    store = make_store((SLOTS, {("a b",): [0]}))
    (series,) = (series for _, tables in store.walk() for table in tables for series in table.series)
    for place, value in enumerate(steps):
        if place % 2:
            series.value = value
        else:
            series.cells = [value]
        expected = make_store((SLOTS, {("a b",): [value]}))
        assert text(store) == text(store) == text(expected)


def test_a_histogram_may_be_changed_in_place_or_replaced() -> None:
    store = make_store((LOOP, {(): [1, 0, 0.5]}))
    ((_, (table,)),) = store.walk()
    text(store)
    table.series[0].cells[1] += 1
    assert samples(store)[-1] == "airflow_loop_seconds_count 2"
    table.series[0].cells = [7, 7, 7.5]
    assert samples(store)[-1] == "airflow_loop_seconds_count 14"


def test_a_line_is_made_once_for_a_value() -> None:
    store = make_store((SLOTS, {("a",): [1]}))
    ((_, (table,)),) = store.walk()
    text(store)
    kept = table.series[0].text
    text(store, Format.OPENMETRICS)
    assert table.series[0].text is kept


@pytest.mark.parametrize("label", ["a", "a\0b", "\0", "", "\1", "%s"])
def test_a_histogram_says_its_newest_sum_and_counts_whatever_its_labels(label: str) -> None:
    series = Series((label,), [0, 0, 0, 0])
    store = make_store((WAIT, {}))
    store.attach(FamilyTable(WAIT, [series]))
    for cells in ([1, 0, 0, 0.5], [1, 0, 0, 0.5], [2, 0, 0, 0.5], [2, 1, 0, 7], [2, 1, 0, 7.25]):
        series.cells = list(cells)
        assert samples(store)[-2:] == [
            f'airflow_wait_seconds_sum{{queue="{label}"}} {cells[-1]!r}',
            f'airflow_wait_seconds_count{{queue="{label}"}} {sum(cells[:-1])}',
        ]


def test_a_histogram_that_is_not_shown_is_zero_and_then_what_it_is() -> None:
    series = Series(("a",), [1, 0, 0, 0.5], revealed=False)
    store = make_store((WAIT, {}))
    store.attach(FamilyTable(WAIT, [series]))
    ends = []
    for series.revealed in (False, False, True, True):
        ends.append([line.split()[-1] for line in samples(store)[-2:]])
    assert ends == [["0", "0"], ["0", "0"], ["0.5", "1"], ["0.5", "1"]]


def test_renderings_side_by_side_leave_the_truth_behind() -> None:
    store = make_store((SLOTS, {(str(number),): [0] for number in range(2000)}))
    ((_, (table,)),) = store.walk()
    done = threading.Event()

    def scrape() -> None:
        while not done.is_set():
            text(store)

    threads = [threading.Thread(target=scrape) for _ in range(3)]
    for thread in threads:
        thread.start()
    for value in range(1, 30):
        for series in table.series:
            series.value = value
    done.set()
    for thread in threads:
        thread.join()
    assert {line.rpartition(" ")[2] for line in samples(store)} == {"29"}


# ---- chunks and gzip ------------------------------------------------------------------------------


def many_lines() -> Store:
    tries = {(f"dag_{number}", f"task_{number % 9}"): [number] for number in range(20_000)}
    return make_store((TRIES, tries), (WAIT, {(f"queue_{number}",): [1, 2, 3, 4.5] for number in range(2000)}))


def test_chunks_are_of_a_size_that_another_thread_can_wait_for() -> None:
    *chunks, last, end = [len(chunk) for chunk in render(many_lines(), Format.TEXT)]
    assert len(chunks) > 10
    assert all(CHUNK_BYTES <= size < 2 * CHUNK_BYTES for size in chunks)
    assert 0 < last < 2 * CHUNK_BYTES
    assert end == 0


def test_small_families_share_a_chunk() -> None:
    assert len(list(filter(None, render(make_store(*EVERYTHING), Format.OPENMETRICS)))) == 1


def test_what_is_rendered_follows_the_store_while_it_is_taken() -> None:
    store = many_lines()
    chunks = render(store, Format.TEXT)
    next(chunks)
    store.withdraw([WAIT])
    assert b"airflow_wait_seconds" not in b"".join(chunks)


@pytest.mark.parametrize("module", ["isal.isal_zlib", "zlib"])
def test_gzip_unpacks_to_the_same(module: str) -> None:
    store = many_lines()
    packed = b"".join(compress(render(store, Format.TEXT), pytest.importorskip(module).compressobj))
    assert gzip.decompress(packed).decode() == text(store)
    assert len(packed) < len(text(store)) / 5


def test_gzip_gives_others_a_turn_as_often_as_rendering_does() -> None:
    store = many_lines()
    assert len(list(compress(render(store, Format.TEXT)))) == len(list(render(store, Format.TEXT)))


def test_gzip_of_nothing_is_a_whole_stream() -> None:
    assert gzip.decompress(b"".join(compress([]))) == b""


def test_gzip_does_not_wait_for_the_end() -> None:
    taken = []

    def chunks() -> Iterator[bytes]:
        for number in range(50):
            taken.append(number)
            yield os.urandom(CHUNK_BYTES)

    next(filter(None, compress(chunks())))
    assert len(taken) < 50


def test_neither_prometheus_client_nor_anything_else_heavy_is_imported() -> None:
    program = "import sys, exporter.web.compression, exporter.store.exposition; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"prometheus_client", "pydantic", "requests", "sqlite3", "airflow_client"} & set(done.stdout.split())


# ---- promtool -------------------------------------------------------------------------------------


def fill(family: Family) -> dict[Labels, float]:
    return {tuple(f"some {name}" for name in family.labels): 1.0}


def test_promtool_has_nothing_to_say_of_any_family(lint_metrics: Callable[[bytes], str]) -> None:
    store = Store(FAMILIES)
    state = [family for family in FAMILIES if family.kind is Kind.GAUGE]
    ledger = Ledger(set(FAMILIES).difference(state))
    store.publish({family: fill(family) for family in state})
    changes = [Change(family, labels) for family in ledger.tables for labels in fill(family)]
    ledger.publish(ledger.stage(changes))
    for table in ledger.tables.values():
        store.attach(table)
    assert lint_metrics(text(store, reveal_all=True).encode()) == ""
