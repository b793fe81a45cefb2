"""No sum leaves the finite: what would take a counter, a histogram or a gauge there is refused and counted."""

from __future__ import annotations

import math
import sys

import pytest

from exporter.config.settings import StatsdSettings
from exporter.metrics.catalogue.families import FAMILIES
from exporter.metrics.family import Family, Kind, Labels, Merge
from exporter.metrics.reading import Change
from exporter.sources.directory import Directory
from exporter.sources.statsd.aggregator import Aggregator
from exporter.sources.statsd.airflow_names.resolver import AirflowNameResolver
from exporter.sources.statsd.model import (
    REJECT_REASONS,
    Action,
    MetricType,
    Resolution,
    Signature,
    Target,
)
from exporter.store.ledger import Ledger
from exporter.store.live_tables import Events
from exporter.store.senders import Window
from exporter.store.store import Store
from tests.unit.sources.statsd.fake_resolver import FakeResolver

DATAGRAM_MEMORY = Family("counted", Kind.COUNTER, "Counted", ("name",), declared=False)
SCALED = Family("scaled", Kind.COUNTER, "Counted", ("name",), declared=False)
LEVEL = Family("airflow_level", Kind.GAUGE, "Level", ("name",), merge=Merge.SUM)
MOVED = Family("airflow_moved", Kind.GAUGE, "Level", ("name",))
LASTED = Family("lasted", Kind.HISTOGRAM, "Seconds", ("name",), buckets=(1.0, 2.0), declared=False)
QUANTILES = Family("quantiles", Kind.SUMMARY, "Seconds", ("name",), declared=False, objectives=((0.5, 0.05),))
LARGEST = sys.float_info.max


class Plain(FakeResolver):
    """One family a type; names say which of them: `s` is scaled by a large number, `q` goes to a summary."""

    def look_up(self, signature: Signature) -> Resolution:
        labels = (signature.name,)
        if signature.type is MetricType.COUNTER:
            target = Target(DATAGRAM_MEMORY, labels, Action.ADD)
            if signature.name == "s":
                target = Target(SCALED, labels, Action.ADD, 1e300)
        elif signature.type is MetricType.GAUGE:
            family = MOVED if signature.name == "m" else LEVEL
            target = Target(family, labels, Action.SET, 1e10 if signature.name == "s" else 1.0)
        else:
            target = Target(QUANTILES if signature.name == "q" else LASTED, labels, Action.OBSERVE)
        return Resolution("plain", (target,))


class World:
    """An aggregator with all that it feeds."""

    def __init__(self) -> None:
        self.store = Store([LEVEL, MOVED])
        self.events = Events(self.store)
        self.aggregator = Aggregator(self.events, Plain())

    def send(self, *lines: bytes, sender: bytes = b"one") -> None:
        """Twice as a rule: the first time it is worked out what a line means, the second time it is known."""
        self.aggregator.process_batch(lines, lambda _: sender)

    def value(self, family: Family, *labels: str) -> float | list[float]:
        (series,) = (
            series
            for _, tables in self.store.walk()
            for table in tables
            if table.family is family
            for series in table.series
            if series.labels == labels
        )
        return series.cells if isinstance(series, Window) else series.value


@pytest.fixture
def world() -> World:
    return World()


def test_the_reason_is_one_of_the_closed_set() -> None:
    assert "overflow" in REJECT_REASONS


@pytest.mark.parametrize("number", [b"1e308", b"1.7e308", b"9" * 307, b"1" * 309])
def test_a_counter_stays_finite_and_goes_on(world: World, number: bytes) -> None:
    for _ in range(400):
        world.send(b"x:" + number + b"|c", b"x:1|c")
    value = world.value(DATAGRAM_MEMORY, "x")
    assert isinstance(value, int | float)
    assert 1e307 < float(value) <= LARGEST
    assert world.aggregator.rejected["overflow"] == 400 - round(value / float(number))


def test_what_is_refused_leaves_the_sum_as_it_was(world: World) -> None:
    world.send(b"x:1.5e308|c", b"x:1.5e308|c", b"x:1e307|c")
    assert world.value(DATAGRAM_MEMORY, "x") == 1.6e308
    assert world.aggregator.rejected == {"overflow": 1}


def test_a_scale_may_not_lead_out_of_the_finite(world: World) -> None:
    for _ in range(3):
        world.send(b"s:1|c", b"s:1000000000|c", b"s:1e10|c", b"s:1e200|c")
    assert world.value(SCALED, "s") == pytest.approx(3e300)
    assert world.aggregator.rejected == {"overflow": 9}


def test_a_histogram_counts_what_it_could_add_and_nothing_else(world: World) -> None:
    for _ in range(3):
        world.send(b"t:1e308|ms", b"t:-1e308|h", b"t:1.5|ms")
    cells = world.value(LASTED, "t")
    assert isinstance(cells, list)
    assert all(map(math.isfinite, cells))
    assert sum(cells[:-1]) == 9 - world.aggregator.rejected["overflow"]
    for _ in range(3):
        world.send(b"u:1e308|ms")
    assert world.value(LASTED, "u") == [0, 0, 1, 1e308]


def test_a_sample_rate_does_not_scale_out_of_the_finite(world: World) -> None:
    for _ in range(3):
        world.send(b"x:1|c|@1e-300", b"x:1e304|c|@0.00001", b"t:1e304|ms|@0.00001")
    assert world.value(DATAGRAM_MEMORY, "x") == 3
    assert world.value(LASTED, "t") == [0, 0, 0, 0]
    assert world.aggregator.rejected["bad_rate"] > 0
    assert world.aggregator.rejected["overflow"] == 6


def test_a_summary_stays_finite(world: World) -> None:
    for _ in range(3):
        world.send(b"q:1e308|ms")
    assert world.value(QUANTILES, "q") == [1e308, 1e308, 1]
    assert world.aggregator.rejected == {"overflow": 2}


def test_a_gauge_that_is_sent_as_infinite_is_infinite(world: World) -> None:
    world.send(b"g:inf|g", b"s:inf|g")
    assert world.value(LEVEL, "g") == world.value(LEVEL, "s") == math.inf
    world.send(b"g:-3|g")
    assert world.value(LEVEL, "g") == math.inf
    world.send(b"g:3|g")
    assert world.value(LEVEL, "g") == 3
    assert not world.aggregator.rejected


@pytest.mark.parametrize(("first", "second"), [(b"inf", b"-inf"), (b"1.7e308", b"1.7e308"), (b"+inf", b"-inf")])
def test_what_senders_say_together_is_a_number(world: World, first: bytes, second: bytes) -> None:
    for _ in range(2):
        world.send(b"g:" + first + b"|g", sender=b"one")
        world.send(b"g:" + second + b"|g", sender=b"two")
    assert world.value(LEVEL, "g") == float(first)
    assert world.aggregator.rejected == {"overflow": 2}
    world.send(b"g:5|g", sender=b"one")
    world.send(b"g:6|g", sender=b"two")
    assert world.value(LEVEL, "g") == 11


def test_a_sender_that_is_refused_keeps_its_share(world: World) -> None:
    world.send(b"g:inf|g", sender=b"one")
    world.send(b"g:6|g", b"g:-inf|g", sender=b"two")
    world.send(b"g:1|g", sender=b"one")
    assert world.value(LEVEL, "g") == 7


def test_the_rest_stays_finite_when_a_sender_falls_silent(world: World) -> None:
    world.send(b"g:1e308|g", sender=b"one")
    world.send(b"g:0|g\ng:-1e308|g", sender=b"two")
    world.send(b"g:1e308|g", sender=b"three")
    world.send(b"g:2|g", sender=b"four")
    gauge = world.events.find(LEVEL, ("g",))
    assert gauge is not None
    del gauge.shares[b"two"]  # type: ignore[attr-defined]
    assert math.isfinite(gauge.combine())  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", [b"g", b"m"])
def test_a_gauge_is_not_moved_out_of_the_finite(world: World, name: bytes) -> None:
    for _ in range(3):
        world.send(name + b":+1e308|g")
    assert world.value(LEVEL if name == b"g" else MOVED, name.decode()) == 1e308
    assert world.aggregator.rejected == {"overflow": 2}


def test_a_gauge_is_not_scaled_out_of_the_finite(world: World) -> None:
    world.send(b"s:5|g", b"s:1e300|g")
    assert world.value(LEVEL, "s") == 5e10
    assert world.aggregator.rejected == {"overflow": 1}


def test_airflows_own_families_stay_finite() -> None:
    store = Store(FAMILIES)
    names = AirflowNameResolver(Directory(), StatsdSettings(release="3.3.2", mode="influxdb"))
    aggregator = Aggregator(Events(store), names)
    for _ in range(3):
        aggregator.process_batch([b"airflow.ti.start,dag_id=q,task_id=q:1.7e308|c"], lambda _: b"one")
        aggregator.process_batch([b"airflow.task.duration,dag_id=q,task_id=q:1.7e308|ms"], lambda _: b"one")
    values = {
        (family.name, series.labels): series.cells
        for family, tables in store.walk()
        for table in tables
        for series in table.series
    }
    assert 1.7e308 in [cells[-1] for cells in values.values()]
    assert all(math.isfinite(cell) for cells in values.values() for cell in cells)
    assert aggregator.rejected["overflow"] >= 2


# ---- ledgers of the API and the host -----------------------------------------------------------------

POLLED = Family("airflow_polled_total", Kind.COUNTER, "Polled", ("name",))
TOOK = Family("airflow_took_seconds", Kind.HISTOGRAM, "Took", ("name",), buckets=(1.0,))


def book(ledger: Ledger, *changes: tuple[Family, float]) -> dict[Labels, list[float]]:
    ledger.adopt(ledger.stage([Change(family, (family.name,), value) for family, value in changes]))
    return {one.labels: one.cells for table in ledger.tables.values() for one in table.series}


def test_a_ledger_stays_finite() -> None:
    ledger = Ledger([POLLED, TOOK])
    for _ in range(3):
        cells = book(ledger, (POLLED, 1.7e308), (TOOK, 1.7e308))
    cells = book(ledger, (POLLED, 10**400), (TOOK, 10**400), (POLLED, math.inf), (TOOK, math.nan))
    assert cells == {(POLLED.name,): [1.7e308], (TOOK.name,): [0, 1, 1.7e308]}
    assert ledger.refused == {POLLED: 4, TOOK: 4}
