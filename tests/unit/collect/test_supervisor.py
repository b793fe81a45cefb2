"""How a source's readers are scheduled, guarded and carried into the store."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from exporter.collect.reader_state import MAX_CYCLES
from exporter.collect.supervisor import LIFE_INTERVALS, SourcePolicy, Supervisor, all_attempted
from exporter.collect.telemetry import reader_tables
from exporter.metrics.catalogue import exporter
from exporter.metrics.catalogue.api import instance, tasks
from exporter.metrics.family import Family
from exporter.metrics.reading import NOTHING, Change, ReaderError, Reading, Tables
from exporter.store.ledger import Ledger, LedgerRow
from exporter.store.persistence.state_file import StateFile
from exporter.store.persistence.state_store import StateError
from exporter.store.store import Store

INFO: Tables = {instance.INFO: {("3.3.2",): 1.0}}


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class FakeReader:
    families: Sequence[Family] = (instance.INFO,)

    def __init__(self, name: str, read: Callable[[], Reading], interval: float = 10.0) -> None:
        self.name = name
        self.help = name
        self.interval = interval
        self.read = read


class FakeSource:
    name = "airflow"
    vital = ""
    refused = False

    def __init__(self, *readers: FakeReader) -> None:
        self.readers = readers
        self.connections = 0
        self.failure: Exception | None = None
        self.closed = False

    def connect(self) -> None:
        self.connections += 1
        if self.failure:
            raise self.failure

    def begin(self, deadline: float) -> None:
        self.deadline = deadline

    def close(self) -> None:
        self.closed = True


class BrokenState(StateFile):
    def commit(self, *_: object, **__: object) -> None:
        raise StateError("the disk is full")


class LostState(BrokenState):
    """Its folder is gone."""

    def verify(self) -> None:
        raise StateError("its directory must exist and be writable")


class Bench:
    """A supervisor with a clock in hand."""

    def __init__(self, *readers: FakeReader, state: StateFile | None = None, persists: bool = True) -> None:
        self.clock = Clock()
        self.source = FakeSource(*readers)
        self.store = Store([instance.INFO, tasks.TRIES], clock=self.clock)
        self.ledger = Ledger([tasks.TRIES], birth_hold=30.0, clock=self.clock)
        self.state = state or StateFile()
        self.errors: list[str] = []
        self.supervisor = Supervisor(
            self.source,
            self.store,
            self.ledger,
            self.state,
            policy=SourcePolicy(persists=persists),
            on_error=lambda _, reason: self.errors.append(reason),
            clock=self.clock,
        )

    def run(self, seconds: float = 0.0) -> float:
        self.clock.now += seconds
        return self.supervisor.run_due()

    def exposes(self, family: Family) -> bool:
        return any(one is family for one, _ in self.store.walk())

    def outcomes(self) -> Mapping[str, str]:
        return {reader.name: reader.outcome for reader in self.supervisor.status().readers}


def fail(reason: str = "timeout") -> Reading:
    raise ReaderError(reason, "too slow; raise --airflow.timeout")


def break_down() -> Reading:
    raise ZeroDivisionError("a bug")


def test_a_reader_that_tells_nothing_itself_touches_neither_state_nor_store() -> None:
    bench = Bench(FakeReader("a", lambda: NOTHING), state=BrokenState())
    bench.run()
    assert bench.outcomes()["a"] == "ok"
    assert not bench.exposes(instance.INFO)
    assert bench.run(5.0) == pytest.approx(5.0)


def test_a_reading_is_exposed_and_its_changes_counted() -> None:
    bench = Bench(FakeReader("a", lambda: Reading(INFO, [Change(tasks.TRIES, ("d", "t"))])))
    bench.run()
    assert bench.exposes(instance.INFO)
    series = bench.ledger.series(tasks.TRIES, ("d", "t"))
    assert series is not None
    assert series.cells == [1]
    assert [row.cells for row in bench.state.ledger()] == [[1]]


def test_a_reader_is_read_when_its_interval_has_passed_not_before() -> None:
    reads: list[float] = []

    def read() -> Reading:
        reads.append(bench.clock.now)
        return Reading()

    bench = Bench(FakeReader("a", read))
    assert bench.run() == pytest.approx(10.0)
    bench.run(9.0)
    assert len(reads) == 1
    bench.run(1.0)
    assert len(reads) == 2


def test_a_failing_reader_leaves_the_others_alone() -> None:
    bench = Bench(FakeReader("bad", fail), FakeReader("good", lambda: Reading(INFO)))
    bench.source.readers[0].read = lambda: fail("forbidden")
    bench.run()
    assert bench.outcomes() == {"connection": "ok", "bad": "forbidden", "good": "ok"}
    assert bench.errors == ["forbidden"]
    assert bench.supervisor.status().up


def test_an_unforeseen_error_is_guarded_and_says_so() -> None:
    bench = Bench(FakeReader("bug", break_down), FakeReader("good", lambda: Reading(INFO)))
    bench.run()
    assert bench.outcomes()["bug"] == "internal"
    assert bench.outcomes()["good"] == "ok"


def test_data_lives_for_three_intervals_without_news() -> None:
    reader = FakeReader("a", lambda: Reading(INFO))
    bench = Bench(reader)
    bench.run()
    reader.read = fail
    for _ in range(LIFE_INTERVALS - 1):
        bench.run(10.0)
        assert bench.exposes(instance.INFO)
    bench.run(10.1)
    assert not bench.exposes(instance.INFO)


def test_a_dead_airflow_is_asked_again_ever_more_slowly_and_counts_as_attempted() -> None:
    bench = Bench(FakeReader("a", lambda: Reading(INFO)))
    bench.source.failure = ReaderError("unreachable", "nobody listens")
    pauses = [bench.run(60.0) for _ in range(6)]
    assert pauses == [1.0, 2.0, 5.0, 10.0, 30.0, 30.0]
    status = bench.supervisor.status()
    assert all_attempted([status])
    assert not status.up
    bench.source.failure = None
    bench.run(30.0)
    assert bench.supervisor.status().up


class TestUp:
    """What makes a source count as down."""

    def make(self) -> tuple[Bench, FakeReader, FakeReader]:
        health, other = FakeReader("health", lambda: Reading(INFO)), FakeReader("other", Reading)
        bench = Bench(health, other)
        bench.source.vital = "health"
        bench.run()
        return bench, health, other

    @pytest.mark.parametrize("reason", ["not_found", "server_error", "bad_request", "timeout", "bad_reply"])
    def test_a_reader_that_fails_while_the_connection_holds_does_not(self, reason: str) -> None:
        bench, _, other = self.make()
        other.read = lambda: fail(reason)
        for _ in range(10):
            bench.run(10.0)
            assert bench.supervisor.status().up

    def test_a_connection_that_fails_does_at_once(self) -> None:
        bench, health, _ = self.make()
        health.read = lambda: fail("unreachable")
        bench.source.failure = ReaderError("unreachable", "nobody listens")
        bench.run(10.0)
        assert not bench.supervisor.status().up

    def test_credentials_that_are_refused_do_at_once(self) -> None:
        bench, _, _ = self.make()
        bench.source.refused = True
        assert not bench.supervisor.status().up

    def test_the_vital_reader_does_when_its_data_has_gone_though_the_others_work(self) -> None:
        bench, health, _ = self.make()
        health.read = lambda: fail("server_error")
        up = []
        for _ in range(5):
            bench.run(10.0)
            up.append(bench.supervisor.status().up)
        assert up == [True, True, False, False, False]
        assert bench.outcomes()["other"] == "ok"
        health.read = lambda: Reading(INFO)
        bench.run(60.0)
        assert bench.supervisor.status().up

    def test_before_the_vital_reader_was_read_the_source_is_down(self) -> None:
        bench = Bench(FakeReader("health", lambda: fail("timeout")), FakeReader("other", Reading))
        bench.source.vital = "health"
        bench.run()
        assert not bench.supervisor.status().up


def test_objects_that_are_passed_over_are_counted_and_some_of_them_named() -> None:
    bench = Bench(FakeReader("a", lambda: Reading(INFO, unanswered=[f"d{number}: HTTP 404" for number in range(5)])))
    bench.run()
    status = next(one for one in bench.supervisor.status().readers if one.name == "a")
    assert (status.outcome, status.unanswered) == ("ok", 5)
    assert status.message == "d0: HTTP 404; d1: HTTP 404; d2: HTTP 404 (and 2 more)"
    assert reader_tables([bench.supervisor.status()])[exporter.READER_UNANSWERED][("airflow", "a")] == 5


def test_a_failing_connection_keeps_the_readers_that_follow_from_waiting_for_their_timeouts() -> None:
    asked: list[str] = []

    def read() -> Reading:
        asked.append("")
        bench.source.failure = ReaderError("timeout", "no answer")
        return fail("timeout")

    bench = Bench(FakeReader("a", Reading), FakeReader("b", read), FakeReader("c", read))
    bench.run()
    assert len(asked) == 1
    assert not bench.supervisor.status().up


def test_a_failure_that_a_new_connection_may_cure_connects_anew() -> None:
    reader = FakeReader("a", lambda: fail("not_found"))
    bench = Bench(reader)
    bench.run()
    bench.run(10.0)
    assert bench.source.connections == 2
    reader.read = lambda: fail("forbidden")
    bench.run(10.0)
    bench.run(10.0)
    assert bench.source.connections == 3


def test_what_cannot_be_committed_is_not_counted() -> None:
    bench = Bench(FakeReader("a", lambda: Reading(INFO, [Change(tasks.TRIES, ("d", "t"))])), state=BrokenState())
    bench.run()
    assert bench.outcomes()["a"] == "state_file"
    assert bench.ledger.series(tasks.TRIES, ("d", "t")) is None


def test_a_source_that_saves_nothing_goes_on_where_the_state_file_cannot_be_used() -> None:
    """What a host's processes used is read once: it cannot be read again."""
    reading = Reading(INFO, [Change(tasks.TRIES, ("d", "t"))])
    bench = Bench(FakeReader("a", lambda: reading), state=LostState(), persists=False)
    for count in (1, 2):
        bench.run(10.0)
        assert bench.outcomes()["a"] == "ok"
        series = bench.ledger.series(tasks.TRIES, ("d", "t"))
        assert series is not None
        assert series.cells == [count]
    assert bench.exposes(instance.INFO)


@pytest.mark.parametrize(("state", "handed_over"), [(StateFile, 1), (BrokenState, 0)])
def test_other_readers_get_what_was_committed_only(state: type[StateFile], handed_over: int) -> None:
    """What was not committed is read again, and would come twice."""
    events: list[str] = []
    reading = Reading(changes=[Change(tasks.TRIES, ("d", "t"))], after_commit=lambda: events.append("ended"))
    Bench(FakeReader("a", lambda: reading), state=state()).run()
    assert len(events) == handed_over


def test_there_is_more_to_read_at_once_where_the_reading_says_so() -> None:
    readings = [Reading(again=True), Reading(again=True), Reading()]
    bench = Bench(FakeReader("a", lambda: readings.pop(0)))
    assert bench.run() == 0.0
    assert bench.run() == 0.0
    assert bench.run() == pytest.approx(10.0)


def test_slow_answers_stretch_the_interval_to_a_tenth_of_the_time() -> None:
    bench = Bench()

    def read_slowly() -> Reading:
        bench.clock.now += 4.0
        return Reading(INFO)

    bench.source.readers = (FakeReader("slow", read_slowly),)
    pauses = [bench.run(1000.0) for _ in range(30)]
    assert pauses[-1] == pytest.approx(40.0, rel=0.01)
    reader = next(one for one in bench.supervisor.status().readers if one.name == "slow")
    assert reader.interval == 10.0
    assert reader.pause == pytest.approx(40.0, rel=0.01)


def test_two_slow_reads_after_a_start_stretch_nothing_and_data_lives_as_long_as_the_pause_wants() -> None:
    bench = Bench()

    def read_slowly() -> Reading:
        bench.clock.now += 20.0
        return Reading(INFO)

    reader = FakeReader("slow", read_slowly)
    bench.source.readers = (reader,)
    pauses = [bench.run(1000.0) for _ in range(3)]
    assert pauses == pytest.approx([10.0, 10.0, 200.0])
    pause = pauses[-1]
    bench.clock.now += (pause + 20.0) * LIFE_INTERVALS - 1
    assert bench.exposes(instance.INFO)
    bench.clock.now += 2
    assert not bench.exposes(instance.INFO)


def test_data_of_a_quick_reader_outlives_the_turns_of_slow_ones() -> None:
    bench = Bench()

    def read_slowly() -> Reading:
        bench.clock.now += 40.0
        return Reading()

    slow = FakeReader("slow", read_slowly)
    slow.families = ()
    bench.source.readers = (FakeReader("quick", lambda: Reading(INFO)), slow)
    revealed = []
    for _ in range(6):
        bench.run(1000.0)
        revealed.append(bench.exposes(instance.INFO))
    assert revealed[-3:] == [True] * 3


def test_a_quick_read_ends_the_stretch_at_once() -> None:
    bench = Bench()
    durations = [20.0] * 4 + [1.0, 20.0]

    def read() -> Reading:
        bench.clock.now += durations.pop(0)
        return Reading(INFO)

    bench.source.readers = (FakeReader("varies", read),)
    assert [bench.run(1000.0) for _ in range(6)] == pytest.approx([10.0, 10.0, 200.0, 200.0, 10.0, 200.0])


def test_a_reader_that_fails_is_asked_again_after_its_interval_though_its_pause_is_long() -> None:
    bench = Bench()

    def read_slowly() -> Reading:
        bench.clock.now += 20.0
        return Reading(INFO)

    reader = FakeReader("slow", read_slowly)
    bench.source.readers = (reader,)
    assert [bench.run(1000.0) for _ in range(3)][-1] == pytest.approx(200.0)
    reader.read = lambda: fail("forbidden")
    assert [bench.run(200.0) for _ in range(3)] == pytest.approx([10.0, 20.0, 30.0])


def test_a_slow_reader_does_not_slow_down_the_others() -> None:
    bench = Bench()

    def read_slowly() -> Reading:
        bench.clock.now += 4.0
        return Reading(INFO)

    bench.source.readers = (FakeReader("slow", read_slowly), FakeReader("quick", Reading))
    for _ in range(30):
        assert bench.run(1000.0) == pytest.approx(10.0)
    pauses = {one.name: one.pause for one in bench.supervisor.status().readers}
    assert pauses == {"connection": 300.0, "slow": pytest.approx(40.0, rel=0.01), "quick": 10.0}


def test_a_quick_read_of_one_reader_brings_the_next_reads_of_the_others_forward() -> None:
    bench = Bench()
    seconds = {"often": 10.0, "seldom": 40.0}
    reads: list[str] = []

    def read(name: str) -> Reading:
        bench.clock.now += seconds[name]
        reads.append(name)
        return Reading(INFO)

    bench.source.readers = tuple(FakeReader(name, partial(read, name)) for name in seconds)
    for _ in range(5):
        bench.run(10_000.0)
    pauses = {one.name: one.pause for one in bench.supervisor.status().readers}
    assert (pauses["often"], pauses["seldom"]) == pytest.approx((300.0, 600.0))
    seconds["often"] = 0.1
    reads.clear()
    bench.run(260.0)
    assert reads == ["often"]
    assert bench.run(0.0) == pytest.approx(21.0)
    pauses = {one.name: one.pause for one in bench.supervisor.status().readers}
    assert (pauses["often"], pauses["seldom"]) == pytest.approx((21.0, 420.0))
    bench.run(420.0 - 260.0)
    assert reads == ["often", "often", "seldom"]


@pytest.mark.parametrize("dead", [False, True])
def test_a_series_born_at_zero_shows_its_value_though_every_read_fails(dead: bool) -> None:
    readings = [Reading(INFO, [Change(tasks.TRIES, ("d", "t"))])]
    bench = Bench(FakeReader("a", lambda: readings.pop() if readings else fail("forbidden")))
    bench.run()
    series = bench.ledger.series(tasks.TRIES, ("d", "t"))
    assert series is not None
    assert not series.revealed
    series.exposed_at = bench.clock.now
    bench.source.failure = ReaderError("unreachable", "nobody listens") if dead else None
    bench.run(400.0)
    (series,) = bench.ledger.tables[tasks.TRIES].series
    assert series.revealed
    assert [
        LedgerRow(row.family, row.labels, row.cells, row.revealed, row.shape).revealed for row in bench.state.ledger()
    ] == [True]


def count_of_dags(bench: Bench) -> set[tuple[str, ...]]:
    """The series in memory, which are those of the state file."""
    kept = {series.labels for series in bench.ledger.tables[tasks.TRIES].series}
    assert {row.labels for row in bench.state.ledger()} == kept
    return kept


class Lists:
    """Two readers: one counts a try of some DAGs once, the other lists all DAGs, on a wall clock of its own."""

    def __init__(self, *counted: str, state: StateFile | None = None) -> None:
        self.changes = [Change(tasks.TRIES, (dag_id, "t")) for dag_id in counted]
        self.listed: frozenset[str] | None = None
        self.bench = Bench(FakeReader("a", self.read), state=state)
        self.wall = self.bench.supervisor._wall = Clock()

    def read(self) -> Reading:
        changes, self.changes = self.changes, []
        return Reading(changes=changes, dags=self.listed, dag_spaces=("dag_history",))

    def pass_time(self, hours: float, *listed: str, complete: bool = True) -> set[tuple[str, ...]]:
        """Read a list every ten minutes."""
        self.listed = frozenset(listed) if complete else None
        for _ in range(int(hours * 6)):
            self.wall.now += 600.0
            self.bench.run(600.0)
        return count_of_dags(self.bench)


def test_a_dag_is_forgotten_when_complete_lists_have_lacked_it_for_a_day() -> None:
    lists = Lists("gone", "there", "_other")
    lists.bench.state.commit([], {"dag_history": {b"gone": b"1", b"there": b"2"}})
    lists.pass_time(1.0, "gone", "there")
    assert ("gone", "t") in lists.pass_time(23.5, "there")
    assert lists.pass_time(1.0, "there") == {("there", "t"), ("_other", "t")}
    assert lists.bench.state.recall_all("dag_history") == {b"there": b"2"}
    assert lists.bench.state.recall_all("dags.absent") == {}


@pytest.mark.parametrize("listed", [(), ("there",)])
def test_a_dag_that_comes_back_within_a_day_goes_on_where_it_was(listed: tuple[str, ...]) -> None:
    lists = Lists("late", "there")
    lists.pass_time(23.0, *listed)
    lists.pass_time(1.0, "late", "there")
    kept = lists.pass_time(23.0, *listed)
    assert kept == {("late", "t"), ("there", "t")}
    series = lists.bench.ledger.series(tasks.TRIES, ("late", "t"))
    assert series is not None
    assert series.cells == [1]


class FullDisk(StateFile):
    """Cannot be written for some time."""

    is_full = False

    def commit(self, *arguments: Any, **options: Any) -> None:
        if self.is_full:
            raise StateError("the disk is full")
        super().commit(*arguments, **options)


def test_the_series_of_a_removed_dag_leave_the_state_file_though_the_first_try_fails() -> None:
    state = FullDisk()
    lists = Lists("gone", "there", state=state)
    lists.pass_time(24.2, "there")
    state.is_full = True
    assert lists.pass_time(2.0, "there") == {("gone", "t"), ("there", "t")}
    assert lists.bench.outcomes()["a"] == "state_file"
    state.is_full = False
    assert lists.pass_time(1.0, "there") == {("there", "t")}
    assert state.recall_all("dags.absent") == {}


def test_a_series_that_is_due_to_be_revealed_is_removed_with_its_dag() -> None:
    lists = Lists("gone", "there")
    lists.pass_time(24.2, "there")
    gone = lists.bench.ledger.series(tasks.TRIES, ("gone", "t"))
    assert gone is not None
    gone.exposed_at = lists.bench.clock.now
    assert lists.pass_time(0.2, "there") == {("there", "t")}


def test_a_list_of_which_rows_were_lost_forgets_nothing() -> None:
    lists = Lists("unreadable", "there")
    assert lists.pass_time(60.0, "there", complete=False) == {("unreadable", "t"), ("there", "t")}


def test_a_restart_neither_begins_the_day_again_nor_shortens_it(tmp_path: Path) -> None:
    before = Lists("gone", state=StateFile(tmp_path / "state.db"))
    before.pass_time(20.0, "there")
    wall = before.wall.now
    before.bench.state.close()
    after = Lists(state=StateFile(tmp_path / "state.db"))
    after.bench.ledger.restore(after.bench.state.ledger())
    after.wall.now = wall + 3 * 86_400.0  # what was listed meanwhile is not known
    assert after.pass_time(3.0, "there") == {("gone", "t")}
    assert after.pass_time(2.0, "there") == set()


def test_the_last_cycles_are_kept_newest_first() -> None:
    bench = Bench(FakeReader("a", lambda: Reading(notes=["42 rows"])))
    for _ in range(MAX_CYCLES + 5):
        bench.run(10.0)
    cycles = [cycle for cycle in bench.supervisor.status().cycles if cycle.reader == "a"]
    assert len(cycles) == MAX_CYCLES
    assert cycles[0].started >= cycles[-1].started


def test_it_logs_when_a_reader_turns_bad_and_when_it_works_again(caplog: pytest.LogCaptureFixture) -> None:
    reader = FakeReader("a", lambda: fail("forbidden"))
    bench = Bench(reader)
    with caplog.at_level("INFO"):
        for _ in range(3):
            bench.run(10.0)
        reader.read = lambda: Reading(INFO)
        bench.run(10.0)
    messages = [record.getMessage() for record in caplog.records]
    assert messages == [
        "airflow/a failed (forbidden): too slow; raise --airflow.timeout",
        "airflow/a works again",
        "airflow: the first read succeeded",
    ]


def test_the_first_success_of_a_source_is_logged_once_with_what_was_read(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(FakeReader("a", lambda: Reading(INFO)))
    bench.source.summary = lambda: {"version": "3.3.2", "dags": 42}  # type: ignore[attr-defined]
    with caplog.at_level("INFO"):
        for _ in range(3):
            bench.run(10.0)
    (record,) = caplog.records
    assert record.getMessage() == "airflow: the first read succeeded"
    assert (vars(record)["version"], vars(record)["dags"]) == ("3.3.2", 42)


def test_the_sources_own_thread_commits_to_a_state_file_opened_by_another(tmp_path: Path) -> None:
    reader = FakeReader("a", lambda: Reading(INFO, [Change(tasks.TRIES, ("d", "t"))]))
    bench = Bench(reader, state=StateFile(tmp_path / "state.db"))
    bench.supervisor.start()
    while "a" not in bench.outcomes():
        time.sleep(0.01)
    assert bench.supervisor.stop(5.0)
    assert bench.outcomes()["a"] == "ok"
    assert [row.cells for row in bench.state.ledger()] == [[1]]


def test_stopping_ends_the_thread_and_lets_go_of_sockets() -> None:
    bench = Bench(FakeReader("a", lambda: Reading(INFO)))
    bench.supervisor.start()
    assert bench.supervisor.stop(5.0)
    assert bench.source.closed
