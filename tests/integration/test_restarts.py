"""Whatever crashes when: what Prometheus adds up is what was counted.

A whole exporter in small: a reader whose cursor is committed with its counts, the ledger, the state file, the
exposition, and a Prometheus that scrapes it. The rules crash it at every point of a cycle and of a scrape.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections import Counter
from collections.abc import Generator
from itertools import pairwise
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.metrics.family import Family, Kind
from exporter.metrics.reading import Change
from exporter.store.exposition import Format, render
from exporter.store.ledger import Ledger
from exporter.store.persistence.state_file import State
from exporter.store.store import Store

TRIES = Family("airflow_task_tries_total", Kind.COUNTER, "Tries that ran", ("dag_id",), cap=3)
WAIT = Family("airflow_wait_seconds", Kind.HISTOGRAM, "How long tries waited", ("queue",), buckets=(1.0,))
HOLD = 30.0
DAGS = st.sampled_from(["etl", "report", "clean", "load", "train"])


class CrashingExporter(RuleBasedStateMachine):
    """`happened` is what Airflow would tell; a reader counts what its cursor has not passed yet."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.now = 1000.0
        self.happened: list[Change] = []
        self.scrapes: list[dict[tuple[str, str], float]] = []
        self.start()

    def teardown(self) -> None:
        self.settle()
        self.state.close()
        shutil.rmtree(self.folder)

    def start(self) -> None:
        self.state = State(self.folder / "state.db")
        self.state._db.execute("PRAGMA synchronous = OFF")  # processes end here, not machines
        self.ledger = Ledger([TRIES, WAIT], hold=HOLD, clock=lambda: self.now)
        assert self.ledger.restore(self.state.ledger()) == 0
        self.store = Store([TRIES, WAIT], clock=lambda: self.now)
        for table in self.ledger.tables.values():
            self.store.attach(table)

    @property
    def cursor(self) -> int:
        return int(self.state.recall("cursor", [b"tasks"]).get(b"tasks", b"0"))

    @rule(dag_id=DAGS, tries=st.integers(1, 3))
    def tasks_run(self, dag_id: str, tries: int) -> None:
        self.happened += [Change(TRIES, (dag_id,)), Change(WAIT, (dag_id[0],), tries)] * tries

    @rule()
    def crash(self) -> None:
        self.state.close()
        self.start()

    @rule(crash=st.sampled_from(["", "", "", "before commit", "after commit"]))
    def cycle(self, crash: str = "") -> None:
        staged = self.ledger.stage(self.happened[self.cursor :])
        if crash == "before commit":
            self.crash()
            return
        self.state.commit(self.ledger.rows(staged), {"cursor": {b"tasks": b"%d" % len(self.happened)}})
        if crash == "after commit":
            self.crash()
            return
        self.ledger.adopt(staged)

    @rule()
    def scrape(self) -> None:
        body = b"".join(render(self.store, Format.TEXT)).decode()
        samples = [sample for family in parse_text(body) for sample in family.samples]
        self.scrapes.append({(each.name, ",".join(each.labels.values())): each.value for each in samples})

    @precondition(lambda self: any(table.series for table in self.ledger.tables.values()))
    @rule()
    def scrape_that_times_out(self) -> None:
        chunks = render(self.store, Format.TEXT)
        assert isinstance(chunks, Generator)
        with contextlib.closing(chunks):
            while next(chunks):
                pass

    @rule(seconds=st.sampled_from([1.0, 15.0, 31.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def settle(self) -> None:
        """Long enough without a crash, all is shown, and adds up."""
        self.cycle()
        self.scrape()
        self.now += HOLD
        self.cycle()
        self.scrape()
        total: Counter[str] = Counter()
        for name, labels in self.scrapes[-1]:
            total[name] += int(self.increase(name, labels))
        tries = [change for change in self.happened if change.family is TRIES]
        waits = [change.value for change in self.happened if change.family is WAIT]
        assert total["airflow_task_tries_total"] == len(tries)
        assert total["airflow_wait_seconds_count"] == len(waits)
        assert total["airflow_wait_seconds_sum"] == sum(waits)

    @invariant()
    def nothing_seen_ever_shrinks_or_begins_above_zero(self) -> None:
        for key in self.scrapes[-1] if self.scrapes else ():
            seen = self.seen(*key)
            assert seen[0] == 0, (key, seen)
            assert all(before <= after for before, after in pairwise(seen)), (key, seen)

    def seen(self, name: str, labels: str) -> list[float]:
        return [scrape[name, labels] for scrape in self.scrapes if (name, labels) in scrape]

    def increase(self, name: str, labels: str) -> float:
        """As Prometheus adds up, without extrapolation: what a sample is above the last, or after a reset all of it."""
        return sum(after - before if after >= before else after for before, after in pairwise(self.seen(name, labels)))


CrashingExporter.TestCase.settings = settings(
    max_examples=50, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestCrashingExporter = CrashingExporter.TestCase


def test_a_second_prometheus_sees_the_zero_too_if_it_scrapes_within_the_hold() -> None:
    now = 1000.0
    ledger = Ledger([TRIES], hold=HOLD, clock=lambda: now)
    store = Store([TRIES], clock=lambda: now)
    store.attach(ledger.tables[TRIES])

    def scrape() -> str:
        return b"".join(render(store, Format.TEXT)).decode().split()[-1]

    ledger.adopt(ledger.stage([Change(TRIES, ("etl",))]))
    assert scrape() == "0"
    now += HOLD - 1
    ledger.adopt(ledger.stage([]))
    assert scrape() == "0"
    now += 1
    ledger.adopt(ledger.stage([]))
    assert scrape() == "1"
