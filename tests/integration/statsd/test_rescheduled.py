"""A scheduler that comes back at another address: its slots are told twice for a short while only.

Every line goes the whole way, from the datagram to the exposition, on a clock that the test moves on.
"""

from __future__ import annotations

import pytest

from exporter.config.settings import StatsdSettings
from exporter.metrics.catalogue.statsd import executor
from exporter.sources.directory import Directory
from exporter.sources.statsd.aggregator import Aggregator
from exporter.sources.statsd.airflow_names.resolver import AirflowNameResolver
from exporter.store.exposition import Format, render
from exporter.store.live_tables import LiveTables
from exporter.store.senders import DEFAULT_EXPIRY, EXPIRY_PERIODS, MIN_EXPIRY
from exporter.store.store import Store

SLOTS = 32
STEP = 0.25
"""Seconds by which the clock moves."""
OLD, NEW, OTHER = b"\x0a\x00\x00\x01", b"\x0a\x00\x00\x02", b"\x0a\x00\x00\x03"
LINES = {
    "2.11.2 plain": b"airflow.executor.open_slots:%d|g",
    "2.11.2 datadog": b"airflow.executor.open_slots:%d|g|#status:open,name:LocalExecutor",
    "3.3.2 plain": b"airflow.executor.open_slots.LocalExecutor:%d|g",
    "3.3.2 influxdb": b"airflow.executor.open_slots,status=open,executor_class_name=LocalExecutor:%d|g",
    "3.3.2 datadog": b"airflow.executor.open_slots:%d|g|#status:open,executor_class_name:LocalExecutor",
}
MODERN = "3.3.2 influxdb"


class Cluster:
    """Schedulers that say every so often that all their slots are open, and the exporter that hears them."""

    def __init__(self, dialect: str = MODERN) -> None:
        self.now = 1000.0
        release, _, mode = dialect.partition(" ")
        self._line = LINES[dialect] % SLOTS
        self._store = Store([executor.SLOTS])
        self._names = AirflowNameResolver(Directory(), StatsdSettings(release=release, mode=mode), frozenset())
        self._aggregator = Aggregator(LiveTables(self._store, clock=self.clock), self._names, self.clock)
        self._swept = self.now
        self.wrong: dict[float, float] = {}
        """What was exposed while one scheduler lived, where it was not its slots, by the time."""

    def clock(self) -> float:
        return self.now

    def say(self, sender: bytes) -> None:
        self._aggregator.process_batch([self._line], lambda _: sender)

    def live(self, seconds: float, every: float, *senders: bytes) -> None:
        """Time passes, in which these schedulers speak `every` so many seconds; the exporter sweeps as it does."""
        end, due = self.now + seconds, self.now
        while self.now < end:
            if senders and self.now >= due:
                due += every
                for sender in senders:
                    self.say(sender)
            if self.now >= self._swept + 1:
                self._swept = self.now
                self._aggregator.sweep()
            if (told := self.read()) != SLOTS:
                self.wrong[self.now] = told
            self.now += STEP

    def read(self) -> float:
        """Open slots of all schedulers, as they are exposed."""
        lines = b"".join(render(self._store, Format.TEXT)).decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if 'state="open"' in line)

    def doubled(self) -> float:
        """For how many seconds it was wrong, which was never by more than a scheduler."""
        assert set(self.wrong.values()) <= {2 * SLOTS}, self.wrong
        return len(self.wrong) * STEP


@pytest.mark.parametrize("dialect", LINES)
def test_in_every_dialect_the_old_address_is_gone_after_three_periods(dialect: str) -> None:
    cluster = Cluster(dialect)
    cluster.live(60, 1, OLD)
    cluster.live(60, 1, NEW)
    assert 0 < cluster.doubled() <= EXPIRY_PERIODS * 1 + 1


@pytest.mark.parametrize("every", [1, 2, 5, 6, 10, 15, 30])
@pytest.mark.parametrize("away", [0, 1, 7, 20, 90])
def test_however_long_it_was_away_it_is_never_told_twice_for_more_than_twenty_seconds(every: int, away: int) -> None:
    cluster = Cluster()
    cluster.live(max(60, 4 * every), every, OLD)
    cluster.live(away, every)
    cluster.live(max(120, 4 * every), every, NEW)
    # The last second is what it takes until the next sweep.
    assert cluster.doubled() <= min(DEFAULT_EXPIRY, max(MIN_EXPIRY, EXPIRY_PERIODS * every)) + 1
    assert cluster.read() == SLOTS


@pytest.mark.parametrize("stall", [8, 30, 120])
@pytest.mark.parametrize("after", [1, 2, 3, 10])
def test_who_was_kept_waiting_before_it_moved_is_not_told_twice_for_longer(stall: int, after: int) -> None:
    cluster = Cluster()
    cluster.live(60, 1, OLD)
    cluster.live(stall, 1)
    cluster.live(after, 1, OLD)
    cluster.live(200, 1, NEW)
    assert cluster.doubled() <= 20


@pytest.mark.parametrize("said", [1, 2])
def test_who_moved_before_its_period_was_known_is_not_told_twice_for_longer(said: int) -> None:
    cluster = Cluster()
    cluster.live(said * 5, 5, OLD)
    cluster.live(60, 5, NEW)
    assert cluster.doubled() <= DEFAULT_EXPIRY


def test_one_that_moves_again_and_again_is_told_twice_for_twenty_seconds_at_most_each_time() -> None:
    cluster = Cluster()
    for number in range(10):
        cluster.wrong.clear()
        cluster.live(45, 5, bytes([10, 0, 0, number]))
        assert cluster.doubled() <= 20
        assert cluster.read() == SLOTS


@pytest.mark.parametrize("every", [1, 5, 10, 15, 20])
def test_schedulers_that_live_are_both_told_however_slow_they_are(every: int) -> None:
    cluster = Cluster()
    cluster.live(120, every, OLD, OTHER)
    assert set(cluster.wrong.values()) == {2 * SLOTS}
    assert cluster.doubled() == 120


def test_one_of_two_moves_and_the_other_is_told_all_the_while() -> None:
    cluster = Cluster()
    cluster.live(60, 5, OLD, OTHER)
    cluster.wrong.clear()
    cluster.live(60, 5, NEW, OTHER)
    three = [told for told in cluster.wrong.values() if told == 3 * SLOTS]
    assert set(cluster.wrong.values()) == {2 * SLOTS, 3 * SLOTS}
    assert len(three) * STEP <= 20
    assert cluster.read() == 2 * SLOTS
