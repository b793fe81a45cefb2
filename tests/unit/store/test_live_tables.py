"""Live tables: series come, are capped, shown and expire while events arrive."""

from __future__ import annotations

import math

import pytest

from exporter.metrics.family import Family, Kind, Merge
from exporter.store.exposition import Format, render
from exporter.store.live_tables import LiveTables
from exporter.store.senders import MAX_SAMPLES, MAX_SENDERS, GaugeSeries, SummarySeries
from exporter.store.store import Store

FAILED = Family("airflow_failed_total", Kind.COUNTER, "Failures", ("dag_id", "task_id"), cap=10)
SLOTS = Family("airflow_slots", Kind.GAUGE, "Slots", ("pool",), ttl=100, merge=Merge.SUM, cap=2)
WAIT = Family("airflow_wait_seconds", Kind.HISTOGRAM, "Waits", ("queue",), buckets=(1.0, 5.0))
ROWS = Family("rows", Kind.COUNTER, "Rows", ("job",), declared=False, ttl=60)
TIMES = Family(
    "times", Kind.SUMMARY, "Times", declared=False, objectives=((0.5, 0.05), (0.9, 0.01)), max_age=10, age_buckets=5
)


class Clock:
    """A clock that stands still until it is moved."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class World:
    """A store, its events and their clock."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.store = Store([FAILED, SLOTS, WAIT], self.clock)
        self.events = LiveTables(self.store, birth_hold=30, clock=self.clock)

    def scrape(self, name: str) -> list[str]:
        text = b"".join(render(self.store, Format.TEXT, frozenset({name}))).decode()
        return [line for line in text.splitlines() if not line.startswith("#")]

    def gauge(self, pool: str = "main") -> GaugeSeries:
        series = self.events.get_or_create(SLOTS, (pool,))
        assert isinstance(series, GaugeSeries)
        return series

    def tell(self, sender: bytes, value: float, *, relative: bool = False) -> None:
        self.events.set(SLOTS, self.gauge(), sender, value, relative=relative)

    def wait(self, seconds: float) -> bool:
        self.clock.now += seconds
        return self.events.sweep()


@pytest.fixture
def world() -> World:
    return World()


def test_a_counter_of_ours_is_exposed_as_zero_first_and_shown_after_the_hold(world: World) -> None:
    series = world.events.get_or_create(FAILED, ("etl", "load"))
    assert series is not None
    series.value = 3
    world.wait(100)
    line = 'airflow_failed_total{dag_id="etl",task_id="load"}'
    assert world.scrape("airflow_failed_total") == [f"{line} 0"]
    world.wait(29)
    assert world.scrape("airflow_failed_total") == [f"{line} 0"]
    world.wait(1)
    assert world.scrape("airflow_failed_total") == [f"{line} 3"]


def test_a_family_that_came_at_run_time_is_shown_at_once(world: World) -> None:
    series = world.events.get_or_create(ROWS, ("a",))
    assert series is not None
    series.value = 3
    assert world.scrape("rows") == ['rows{job="a"} 3']


def test_over_its_cap_a_counter_folds_from_the_right(world: World) -> None:
    for number in range(30):
        world.events.get_or_create(FAILED, (f"dag{number}", "load"))
    labels = [series.labels for _, (table,) in world.store.walk() for series in table.series]
    assert labels[:10] == [(f"dag{number}", "load") for number in range(10)]
    assert labels[10:] == [("dag10", "_other"), ("_other", "_other")]
    assert world.events.folded[FAILED] == 20


def test_over_its_cap_a_gauge_is_refused(world: World) -> None:
    found = [world.events.get_or_create(SLOTS, (pool,)) for pool in ("a", "b", "c", "a")]
    assert [one is not None for one in found] == [True, True, False, True]
    assert world.events.refused[SLOTS] == 1


def test_senders_of_a_gauge_add_up_and_one_that_moved_is_gone_after_three_periods(world: World) -> None:
    for _ in range(5):
        world.tell(b"old", 8)
        world.wait(5)
    for _ in range(3):
        world.tell(b"new", 8)
        world.wait(5)
    assert world.scrape("airflow_slots") == ['airflow_slots{pool="main"} 8']


def test_two_live_senders_stay_two(world: World) -> None:
    for _ in range(20):
        world.tell(b"one", 8)
        world.tell(b"two", 4)
        world.wait(10)
    assert world.gauge().value == 12


def test_bursts_do_not_shorten_a_senders_period(world: World) -> None:
    for _ in range(4):
        for _ in range(50):
            world.tell(b"one", 8)
        world.tell(b"two", 1)
        world.wait(15)
    assert world.gauge().value == 9


def test_senders_of_a_gauge_are_bounded(world: World) -> None:
    for number in range(MAX_SENDERS * 2):
        world.tell(b"%d" % number, 1)
        world.clock.now += 0.001
    assert world.gauge().value == MAX_SENDERS


def test_a_relative_value_moves_the_senders_own_share(world: World) -> None:
    world.tell(b"one", 5)
    world.tell(b"two", 7)
    world.tell(b"two", -3, relative=True)
    assert world.gauge().value == 9


@pytest.mark.parametrize(("merge", "value"), [(Merge.MAXIMUM, 7), (Merge.NEWEST, 3), (Merge.SUM, 10)])
def test_a_family_says_how_its_senders_merge(merge: Merge, value: float) -> None:
    gauge = GaugeSeries((), merge)
    gauge.set(b"one", 7, 1.0)
    gauge.set(b"two", 3, 2.0)
    assert gauge.value == value


def test_what_is_not_sent_any_more_expires_and_a_counter_of_ours_does_not(world: World) -> None:
    world.tell(b"one", 8)
    for family, labels in ((ROWS, ("a",)), (FAILED, ("etl", "load"))):
        world.events.get_or_create(family, labels)
    assert [world.wait(30), world.wait(300), world.wait(300)] == [False, True, False]
    assert [family for family, _ in world.store.walk()] == [FAILED]


def test_a_run_time_family_that_expired_leaves_its_name_free(world: World) -> None:
    world.events.get_or_create(ROWS, ("a",))
    world.wait(100)
    other = Family("rows", Kind.GAUGE, "Rows", declared=False)
    assert world.events.get_or_create(other, ()) is not None


def test_a_name_that_is_taken_is_refused_by_an_error(world: World) -> None:
    world.events.get_or_create(ROWS, ("a",))
    with pytest.raises(ValueError, match="is already used"):
        world.events.get_or_create(Family("rows", Kind.GAUGE, "Rows", declared=False), ())


def test_run_time_families_are_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exporter.store.runtime_budget.MAX_FAMILIES", 2)
    for name in ("a", "b"):
        world.events.get_or_create(Family(name, Kind.GAUGE, "Own", declared=False), ())
    with pytest.raises(ValueError, match="too many families"):
        world.events.get_or_create(Family("c", Kind.GAUGE, "Own", declared=False), ())


def test_series_that_came_at_run_time_are_bounded_over_all_families(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter.store.runtime_budget.MAX_SERIES", 10)
    for name in ("a", "b"):
        family = Family(name, Kind.GAUGE, "Own", ("job",), declared=False, ttl=60)
        found = [world.events.get_or_create(family, (str(number),)) for number in range(8)]
        assert sum(one is not None for one in found) == (8 if name == "a" else 2)
    assert world.events.get_or_create(ROWS, ("etl",)) is world.events.get_or_create(ROWS, ("other",))
    world.wait(100)
    again = world.events.get_or_create(ROWS, ("etl",))
    assert again is not None
    assert again.labels == ("etl",)


def test_a_summary_has_quantiles_of_its_window_and_sums_of_all_time(world: World) -> None:
    series = world.events.get_or_create(TIMES, ())
    assert isinstance(series, SummarySeries)
    for value in range(1, 11):
        series.observe(value, 1, world.clock())
    assert series.cells == [5, 9, 55, 10]
    world.clock.now += 11
    series.observe(100, 2, world.clock())
    assert series.cells == [100, 100, 255, 12]
    world.clock.now += 100
    series.turn(world.clock())
    assert math.isnan(series.cells[0])


def test_a_summary_is_exposed_as_it_stands_at_each_scrape(world: World) -> None:
    series = world.events.get_or_create(TIMES, ())
    assert isinstance(series, SummarySeries)
    assert world.scrape("times") == [
        'times{quantile="0.5"} NaN',
        'times{quantile="0.9"} NaN',
        "times_sum 0",
        "times_count 0",
    ]
    for value in (1, 2, 3):
        series.observe(value, 1, world.clock())
    assert world.scrape("times")[:2] == ['times{quantile="0.5"} 2.0', 'times{quantile="0.9"} 3.0']
    world.wait(100)
    assert world.scrape("times") == [
        'times{quantile="0.5"} NaN',
        'times{quantile="0.9"} NaN',
        "times_sum 6",
        "times_count 3",
    ]


def test_a_summarys_memory_is_bounded(world: World) -> None:
    window = SummarySeries((), TIMES, 0.0)
    for number in range(MAX_SAMPLES * 3):
        window.observe(number, 1, 0.0)
    assert len(window._parts[0]) == MAX_SAMPLES
    assert window.cells[-1] == MAX_SAMPLES * 3
    assert MAX_SAMPLES < window.cells[0] < MAX_SAMPLES * 2


def test_other_buckets_start_a_histogram_anew(world: World) -> None:
    series = world.events.get_or_create(WAIT, ("q",))
    assert series is not None
    assert len(series.cells) == 4
    world.events.configure(30, {WAIT: (2.0,)})
    series = world.events.get_or_create(WAIT, ("q",))
    assert series is not None
    assert len(series.cells) == 3


def test_the_values_of_gauges_can_be_read_by_their_labels() -> None:
    world = World()
    assert world.store.read(SLOTS) == {}
    world.tell(b"a", 3.0)
    world.tell(b"b", 4.0)
    assert world.store.read(SLOTS) == {("main",): 7.0}
