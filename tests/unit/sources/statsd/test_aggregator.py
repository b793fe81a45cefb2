"""Datagrams change series; what a line means is worked out once, and everything refused or dropped is counted."""

from __future__ import annotations

import math
import random
import tracemalloc

import pytest

from exporter.metrics.family import Family, Kind, Labels, Merge
from exporter.sources.statsd import action_cache
from exporter.sources.statsd.aggregator import Aggregator
from exporter.sources.statsd.model import Action, MetricType, Resolution, Signature, Target
from exporter.store.live_tables import LiveTables
from exporter.store.store import Store
from tests.unit.sources.statsd.fake_resolver import FakeResolver

EVENTS = Family("airflow_events_total", Kind.COUNTER, "Events", ("name",), cap=50)
LEVEL = Family("airflow_level", Kind.GAUGE, "Levels", ("name",), ttl=100, merge=Merge.SUM, cap=50)
SECONDS = Family("airflow_wait_seconds", Kind.HISTOGRAM, "Waits", ("name",), buckets=(1.0, 5.0), cap=50)


class Plain(FakeResolver):
    """Counts, levels and seconds by name; what begins with x is unknown."""

    def __init__(self) -> None:
        self.revision = 0
        self.asked = 0

    def look_up(self, signature: Signature) -> Resolution:
        self.asked += 1
        if signature.name.startswith("x"):
            return Resolution("", drop="undecided" if signature.name.startswith("xx") else "unmapped")
        labels = (signature.name,)
        target = {
            MetricType.COUNTER: Target(EVENTS, labels, Action.ADD),
            MetricType.GAUGE: Target(LEVEL, labels, Action.SET),
        }.get(signature.type, Target(SECONDS, labels, Action.OBSERVE, 0.001))
        return Resolution("plain", (target,))


class World:
    """An aggregator with all that it feeds."""

    def __init__(self) -> None:
        self.store = Store([EVENTS, LEVEL, SECONDS])
        self.events = LiveTables(self.store)
        self.names = Plain()
        self.aggregator = Aggregator(self.events, self.names)

    def send(self, *datagrams: bytes, sender: bytes = b"one") -> None:
        self.aggregator.process_batch(datagrams, lambda _: sender)

    def values(self, family: Family) -> dict[Labels, float | list[float]]:
        return {
            one.labels: one.value for _, (table,) in self.store.walk() for one in table.series if table.family is family
        }


@pytest.fixture
def world() -> World:
    return World()


def test_counters_add_up_and_stay_whole(world: World) -> None:
    world.send(b"a:1|c", b"a:1|c\nb:3|c\n", b"a:2|c")
    assert repr(world.values(EVENTS)) == "{('a',): 4, ('b',): 3}"
    assert world.aggregator.events[MetricType.COUNTER] == world.aggregator.lines == 4


def test_lines_may_end_as_windows_ends_them(world: World) -> None:
    """`explain` takes such lines too."""
    world.send(b"a:1|c\r\na:2|c\r\n\r\n", b"a:4|c", b"g:-3|g\r", b"t:1:2|ms\r\n", b"b:1|c|#k:v\r\n")
    assert world.values(EVENTS) == {("a",): 7, ("b",): 1}
    assert world.values(LEVEL) == {("g",): -3}
    assert world.values(SECONDS) == {("t",): [2, 0, 0, pytest.approx(0.003)]}
    assert not world.aggregator.rejected
    assert world.aggregator.lines == 6


def test_what_a_line_means_is_asked_once(world: World) -> None:
    for value in range(100):
        world.send(b"a:%d|c" % value, b"t:%d.5|ms" % value, b"g:%d|g" % value)
    assert world.names.asked == 3


def test_what_is_not_decided_yet_is_asked_each_time(world: World) -> None:
    world.send(b"xx:1|c", b"xx:1|c", b"x:1|c", b"x:1|c")
    assert world.names.asked == 3
    assert world.aggregator.dropped == {"undecided": 2, "unmapped": 2}


def test_a_sampled_counter_stands_for_more_and_a_sampled_timer_is_one_weighted_observation(world: World) -> None:
    for _ in range(2):
        world.send(b"a:2|c|@0.1", b"t:2000|ms|@0.0001")
    assert world.values(EVENTS) == {("a",): 40}
    assert world.values(SECONDS) == {("t",): [0, 20_000, 0, 40_000.0]}


def test_gauges_are_kept_by_sender_and_move_by_signed_values(world: World) -> None:
    world.send(b"g:5|g")
    world.send(b"g:7|g", b"g:-3|g", b"g:+1|g", sender=b"two")
    assert world.values(LEVEL) == {("g",): 10}


def test_gauges_are_the_same_whether_it_is_known_that_one_sender_sent_them_all() -> None:
    """With one known sender a gauge is set by a shorter way: not one difference, whatever comes and goes."""
    chance = random.Random(17)
    now = 1000.0
    stores = [Store([LEVEL], lambda: now) for _ in range(2)]
    tables = [LiveTables(store, clock=lambda: now) for store in stores]
    known, asked = (Aggregator(one, Plain(), lambda: now) for one in tables)
    lookups = {b"one": lambda _: b"one", b"two": lambda _: b"two"}
    for _ in range(3_000):
        now += chance.choice((0.0, 0.001, 0.4, 3.0, 90.0 if chance.random() < 0.05 else 1.0))
        sender = chance.choice((b"one", b"one", b"one", b"two"))
        batch = [b"%s:%s|g" % (chance.choice((b"a", b"b", b"c")), chance.choice((b"0", b"7", b"+2", b"-1", b"2.5")))]
        batch *= chance.randrange(1, 3)
        known.process_batch(batch, lookups[sender], sender)
        asked.process_batch(batch, lookups[sender])
        if chance.random() < 0.3:
            known.sweep()
            asked.sweep()
        first, second = (
            [(one.labels, one.value, one.seen) for _, some in store.walk() for table in some for one in table.series]  # type: ignore[attr-defined]
            for store in stores
        )
        assert first == second


@pytest.mark.parametrize("ends", [(b"\n", b"\n", b"\n"), (b"", b"\n", b""), (b"\n", b"", b"\n\n"), (b"", b"", b"")])
def test_each_line_has_its_sender_however_datagrams_end(world: World, ends: tuple[bytes, ...]) -> None:
    lines = (b"g:5|g", b"g:7|g\nh:1|g", b"g:2|g")
    batch = [line + end for line, end in zip(lines, ends, strict=True)]
    world.aggregator.process_batch(batch, lambda place: (b"one", b"two", b"three")[place])
    assert world.values(LEVEL) == {("g",): 14, ("h",): 1}
    assert world.aggregator.lines == 4


def test_a_negative_gauge_comes_as_two_lines(world: World) -> None:
    world.send(b"g:5|g", b"g:0|g\ng:-8|g")
    assert world.values(LEVEL) == {("g",): -8}


def test_a_gauge_may_be_infinite(world: World) -> None:
    world.send(b"g:inf|g")
    assert world.values(LEVEL) == {("g",): math.inf}


@pytest.mark.parametrize("line", [b"a:-1|c", b"a:inf|c", b"a:nan|c", b"t:inf|ms", b"t:nan|ms"])
def test_values_that_could_not_be_taken_back_are_refused(world: World, line: bytes) -> None:
    world.send(b"a:1|c", b"t:1000|ms", line)
    assert world.values(EVENTS) == {("a",): 1}
    assert world.values(SECONDS) == {("t",): [1, 0, 0, 1.0]}
    assert world.aggregator.rejected == {"bad_value": 1}


@pytest.mark.parametrize("line", [b"a:1_0|c", b"a: 1|c", b"a:|c", b"a|c", b":1|c", b"a:1|q", b"\xff\xfe:1|c"])
def test_a_bad_line_is_counted_and_costs_no_other(world: World, line: bytes) -> None:
    world.send(b"a:1|c\n" + line + b"\na:1|c")
    assert world.values(EVENTS) == {("a",): 2}
    assert sum(world.aggregator.rejected.values()) == 1


def test_lines_that_only_look_alike_are_not_taken_for_one_another(world: World) -> None:
    world.send(b"a|c:1|g", b"a:1|c|g")
    world.send(b"a|c:1|g", b"a:1|c|g")
    fresh = World()
    fresh.send(b"a:1|c|g")
    assert world.values(EVENTS).get(("a",), 0) == 2 * fresh.values(EVENTS).get(("a",), 0)


def test_several_values_in_a_line_are_several_events(world: World) -> None:
    for _ in range(2):
        world.send(b"t:500:2000|ms")
    assert world.values(SECONDS) == {("t",): [2, 2, 0, 5.0]}


def test_drops_are_counted_by_reason_and_unknown_names_are_remembered(world: World) -> None:
    world.send(b"x.y:1|c", b"x.y:1|c", b"x.z:1|c")
    assert world.aggregator.dropped == {"unmapped": 3}
    assert set(world.aggregator.unmapped) == {"x.y", "x.z"}


def test_a_gauge_over_its_cap_is_dropped_as_capped(world: World) -> None:
    world.send(*[b"g%d:1|g" % number for number in range(60)])
    assert world.aggregator.dropped == {"capped": 10}


def test_meanings_are_worked_out_anew_when_the_resolver_knows_more(world: World) -> None:
    world.send(b"a:1|c")
    world.names.revision += 1
    world.aggregator.sweep()
    world.send(b"a:1|c")
    assert world.names.asked == 2
    assert world.values(EVENTS) == {("a",): 2}


def test_a_series_that_expired_is_made_anew(world: World) -> None:
    now = [1000.0]
    world.events.clock = lambda: now[0]
    world.send(b"g:1|g")
    now[0] += 500
    world.aggregator.sweep()
    assert world.values(LEVEL) == {}
    world.send(b"g:2|g")
    assert world.values(LEVEL) == {("g",): 2}


def test_a_series_that_expired_is_made_anew_although_its_action_was_cached_long_ago(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in the older generation of the cache."""
    monkeypatch.setattr(action_cache, "MAX_KEYS", 10)
    now = [1000.0]
    world.events.clock = lambda: now[0]
    world.send(b"g:1|g")
    world.send(*[b"a%d:1|c" % number for number in range(10)])
    now[0] += 500
    world.aggregator.sweep()
    world.send(b"g:2|g")
    assert world.values(LEVEL) == {("g",): 2}


@pytest.mark.parametrize(
    ("text", "value"), [("5", 5), ("5.", 5), (".5", 0.5), ("1e-05", 1e-05), ("2E+3", 2000), ("1234567", 1234567)]
)
def test_numbers_may_be_written_in_several_ways(world: World, text: str, value: float) -> None:
    for _ in range(2):
        world.send(f"a:{text}|c".encode(), f"g:{text}|g".encode())
    assert world.values(EVENTS) == {("a",): 2 * value}
    assert world.values(LEVEL) == {("g",): value}


@pytest.mark.parametrize("text", ["1_0", " 1", "1 ", "1.2.3", ".", "", "e5", "1e", "\u0661", "0x1", "nan", "1_0.5e7"])
def test_what_is_no_number_on_the_wire_is_refused_however_often_it_comes(world: World, text: str) -> None:
    world.send(b"a:1|c")
    for _ in range(2):
        world.send(f"a:{text}|c".encode())
    assert world.values(EVENTS) == {("a",): 1}
    assert sum(world.aggregator.rejected.values()) == 2


@pytest.mark.slow
def test_a_flood_of_names_stays_within_caps_and_memory(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(action_cache, "MAX_KEYS", 500)
    flood = [b"a%d:1|c" % number for number in range(30_000)] + [b"x%d:1|c" % number for number in range(10_000)]
    world.send(*flood[:5_000])
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    world.send(*flood)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert len(world.values(EVENTS)) <= 55
    assert sum(world.values(EVENTS).values()) == 35_000  # type: ignore[arg-type]
    assert len(world.aggregator.unmapped) == action_cache.MAX_UNMAPPED_NAMES
    assert grown < 2_000_000


def test_a_line_may_feed_several_families_and_only_what_fits_it(world: World) -> None:
    class Both(Plain):
        def look_up(self, signature: Signature) -> Resolution:
            self.asked += 1
            labels = (signature.name,)
            return Resolution(
                "both",
                (
                    Target(EVENTS, labels, Action.ADD, 0, 1),
                    Target(SECONDS, labels, Action.OBSERVE, 0.001),
                    Target(LEVEL, labels, Action.SET, 0.5),
                ),
            )

    world.aggregator.set_resolver(Both())
    world.send(b"t:2000|ms", b"t:4000|ms", b"t:4000|ms|@0.3")
    assert world.values(EVENTS) == {("t",): 2 + 1 / 0.3}
    assert world.values(SECONDS) == {("t",): [0, 5, 0, 18.0]}
    assert world.values(LEVEL) == {("t",): 2000}
    assert world.aggregator.events == {MetricType.TIMER: 3}


def test_a_line_may_feed_several_counters_and_several_histograms(world: World) -> None:
    class All(Plain):
        def look_up(self, signature: Signature) -> Resolution:
            as_it_is = (Target(EVENTS, (name,), Action.ADD) for name in ("one", "two"))
            observed = (Target(SECONDS, (name,), Action.OBSERVE, 0.001) for name in ("one", "two"))
            return Resolution("all", (*as_it_is, Target(EVENTS, ("three",), Action.ADD, 2, 1), *observed))

    world.aggregator.set_resolver(All())
    world.send(b"t:2000|ms", b"t:4000|ms")
    assert world.values(EVENTS) == {("one",): 6000, ("two",): 6000, ("three",): 12_002}
    assert world.values(SECONDS) == {(name,): [0, 2, 0, 6.0] for name in ("one", "two")}


def test_what_comes_again_outlives_a_flood_of_other_lines(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(action_cache, "MAX_KEYS", 100)
    for start in range(0, 1_000, 50):
        world.send(b"a:1|c", *[b"x%d:1|c" % number for number in range(start, start + 50)])
    assert world.names.asked == 1_001


def test_a_gauge_that_was_refused_is_asked_for_again_once_others_expired(world: World) -> None:
    now = [1000.0]
    world.events.clock = lambda: now[0]
    world.send(*[b"g%d:1|g" % number for number in range(50)], b"late:1|g", b"late:1|g")
    assert world.aggregator.dropped == {"capped": 2}
    assert world.names.asked == 51
    now[0] += 500
    world.aggregator.sweep()
    world.send(b"late:3|g")
    assert world.values(LEVEL) == {("late",): 3}


def test_senders_are_told_by_datagram_where_some_hold_several_lines(world: World) -> None:
    senders = [b"one", b"two", b"three"]
    world.aggregator.process_batch([b"g:1|g\ng:2|g\n", b"g:30|g", b"a:1|c\ng:400|g"], senders.__getitem__)
    assert world.values(LEVEL) == {("g",): 432}
    assert world.aggregator.lines == 5


def test_a_resolver_that_learns_all_the_time_is_asked_anew_now_and_then(world: World) -> None:
    now = [1000.0]
    aggregator = Aggregator(world.events, world.names, lambda: now[0])
    for _ in range(25):
        world.names.revision += 1
        aggregator.sweep()
        aggregator.process_batch([b"a:1|c"], lambda _: b"")
        now[0] += 1
    assert world.names.asked == 3
