"""What the readers of Celery make of queues and workers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from exporter.diagnosis.situation import Workers
from exporter.metrics.catalogue import celery
from exporter.metrics.family import Family, Labels
from exporter.sources.celery.broker_reading import BrokerReading, QueueDepth
from exporter.sources.celery.readers import CeleryState, QueuesReader, WorkersReader
from exporter.sources.celery.workers import WorkerReading, WorkersReading
from exporter.sources.directory import Directory

ONE = WorkerReading("celery@one", ("default", "heavy"), slots=4, active=3, reserved=1)
TWO = WorkerReading("celery@two", ("heavy",), slots=2, active=2, reserved=0)


@dataclass
class FakeCelery:
    """A broker in memory."""

    depths: Mapping[str, QueueDepth] = field(default_factory=dict)
    workers: list[WorkerReading] = field(default_factory=list)
    unanswered: tuple[str, ...] = ()
    asked: list[set[str]] = field(default_factory=list)
    transport_options: dict[str, Any] | None = field(default_factory=lambda: {"visibility_timeout": 21_600})
    questions: int = 0

    def read_queues(self, queues: Iterable[str]) -> BrokerReading:
        self.asked.append(set(queues))
        found = {queue: self.depths[queue] for queue in self.asked[-1] if queue in self.depths}
        return BrokerReading(found, 0.002, 7, 1_000.0, 5_000, None)

    def read_workers(self) -> WorkersReading:
        return WorkersReading(self.workers, self.unanswered)

    def read_transport_options(self, worker: str) -> Mapping[str, Any] | None:
        self.questions += worker == "celery@one"
        return self.transport_options


class Clock:
    """A clock that stands still."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def make_state(*queues: str, configured: tuple[str, ...] = ()) -> CeleryState:
    """The state where active task instances name these queues."""
    directory = Directory()
    directory.set_queues(queues)
    return CeleryState(directory, configured)


def get(tables: Mapping[Family, Mapping[Labels, float]], family: Family) -> Mapping[Labels, float]:
    return tables[family]


def read_workers(api: FakeCelery, state: CeleryState) -> Mapping[Family, Mapping[Labels, float]]:
    return WorkersReader(api, state, 30.0).read().tables


class TestQueues:
    def test_the_queues_of_tasks_of_workers_and_of_the_configuration_are_read(self) -> None:
        state = make_state("default", configured=("rare",))
        state.consumed = {"heavy"}
        api = FakeCelery()
        QueuesReader(api, state, 30.0).read()
        assert api.asked == [{"default", "heavy", "rare"}]

    def test_messages_consumers_and_the_broker(self) -> None:
        api = FakeCelery({"default": QueueDepth(5), "heavy": QueueDepth(0, 2)})
        tables = QueuesReader(api, make_state("default", "heavy"), 30.0).read().tables
        assert get(tables, celery.QUEUE_MESSAGES) == {("default",): 5, ("heavy",): 0}
        assert get(tables, celery.QUEUE_CONSUMERS) == {("heavy",): 2}
        assert get(tables, celery.UNACKNOWLEDGED) == {(): 7}
        assert get(tables, celery.OLDEST_UNACKNOWLEDGED) == {(): 1_000.0}
        assert get(tables, celery.BROKER_MEMORY) == {(): 5_000}
        assert get(tables, celery.BROKER_MEMORY_LIMIT) == {}
        assert get(tables, celery.BROKER_RESPONSE) == {(): 0.002}

    def test_a_queue_that_does_not_exist_is_named(self) -> None:
        reading = QueuesReader(FakeCelery(), make_state("new"), 30.0).read()
        assert get(reading.tables, celery.QUEUE_MESSAGES) == {}
        assert any("do not exist" in note and "new" in note for note in reading.notes)


class TestWorkers:
    def test_workers_are_counted_by_queue(self) -> None:
        tables = read_workers(FakeCelery(workers=[ONE, TWO]), make_state("default", "nobody"))
        assert get(tables, celery.WORKERS) == {("default",): 1, ("heavy",): 2, ("nobody",): 0}
        assert get(tables, celery.WORKER_UP) == {("celery@one",): 1, ("celery@two",): 1}
        assert get(tables, celery.WORKER_SLOTS) == {("celery@one",): 4, ("celery@two",): 2}
        assert get(tables, celery.WORKER_QUEUE) == {
            ("celery@one", "default"): 1,
            ("celery@one", "heavy"): 1,
            ("celery@two", "heavy"): 1,
        }
        assert get(tables, celery.WORKER_ACTIVE) == {("celery@one",): 3, ("celery@two",): 2}
        assert get(tables, celery.WORKER_RESERVED) == {("celery@one",): 1, ("celery@two",): 0}
        assert get(tables, celery.VISIBILITY_TIMEOUT) == {(): 21_600.0}

    def test_tasks_that_a_busy_worker_holds_while_another_of_the_queue_is_idle(self) -> None:
        busy = WorkerReading("celery@one", ("heavy", "alone"), slots=2, active=2, reserved=3)
        idle = WorkerReading("celery@two", ("heavy",), slots=2, active=1, reserved=0)
        held = get(read_workers(FakeCelery(workers=[busy, idle]), make_state()), celery.HELD)
        assert held == {("heavy",): 3, ("alone",): 0}
        both_busy = [busy, idle._replace(active=2)]
        assert get(read_workers(FakeCelery(workers=both_busy), make_state()), celery.HELD)["heavy",] == 0
        unknown = [busy, idle._replace(slots=None)]
        assert get(read_workers(FakeCelery(workers=unknown), make_state()), celery.HELD)["heavy",] == 0

    def test_the_diagnosis_learns_the_slots_of_each_queue(self) -> None:
        state = make_state()
        read_workers(FakeCelery(workers=[ONE, TWO]), state)
        assert state.directory.workers == {"default": Workers(4, 3), "heavy": Workers(6, 5)}

    def test_without_any_worker_every_queue_has_none(self) -> None:
        state = make_state("default")
        tables = read_workers(FakeCelery(), state)
        assert get(tables, celery.WORKERS) == {("default",): 0}
        assert state.directory.workers == {}

    def test_heartbeats_alone_do_not_say_that_a_queue_has_no_worker(self) -> None:
        state = make_state("default")
        tables = read_workers(FakeCelery(workers=[WorkerReading("celery@one", active=2)]), state)
        assert get(tables, celery.WORKERS) == {}
        assert get(tables, celery.WORKER_ACTIVE) == {("celery@one",): 2}
        assert state.directory.workers is None

    def test_a_heartbeat_completes_the_last_answer_of_a_worker(self) -> None:
        api = FakeCelery(workers=[ONE])
        state = make_state()
        reader = WorkersReader(api, state, 30.0, Clock())
        reader.read()
        api.workers = [WorkerReading("celery@one", active=4)]
        tables = reader.read().tables
        assert get(tables, celery.WORKERS) == {("default",): 1, ("heavy",): 1}
        assert state.directory.workers == {"default": Workers(4, 4), "heavy": Workers(4, 4)}

    def test_answers_that_were_not_waited_for_are_told_and_make_no_worker_gone(self) -> None:
        api, clock = FakeCelery(workers=[ONE, TWO]), Clock()
        state = make_state()
        reader = WorkersReader(api, state, 30.0, clock)
        reader.read()
        api.workers, api.unanswered = [ONE._replace(slots=None, reserved=None)], ("active_queues", "stats", "reserved")
        reading = reader.read()
        for _ in range(4):
            clock.now += 60.0
            reading = reader.read()
        assert get(reading.tables, celery.WORKER_UP) == {("celery@one",): 1, ("celery@two",): 1}
        assert get(reading.tables, celery.WORKER_SLOTS) == {("celery@one",): 4, ("celery@two",): 2}
        assert get(reading.tables, celery.WORKER_RESERVED) == {("celery@two",): 0}
        assert reading.notes[1].startswith("not all answers to active_queues, stats, reserved came within half of")

    def test_a_worker_that_no_longer_answers_is_down_with_the_tasks_it_had_and_then_forgotten(self) -> None:
        api, clock = FakeCelery(workers=[ONE]), Clock()
        state = make_state("default")
        reader = WorkersReader(api, state, 30.0, clock)
        reader.read()
        api.workers = []
        clock.now = 60.0
        assert get(reader.read().tables, celery.WORKER_UP) == {("celery@one",): 1}, "one answer may be late"
        clock.now = 90.0
        tables = reader.read().tables
        assert get(tables, celery.WORKER_UP) == {("celery@one",): 0}
        assert get(tables, celery.WORKER_ACTIVE) == {("celery@one",): 3}
        assert get(tables, celery.WORKER_SLOTS) == {}
        assert get(tables, celery.WORKER_QUEUE) == {}
        assert get(tables, celery.WORKERS) == {("default",): 0}
        clock.now = 4_000.0
        assert get(reader.read().tables, celery.WORKER_UP) == {}

    def test_the_visibility_timeout_is_asked_for_once_an_hour(self) -> None:
        api, clock = FakeCelery(workers=[ONE]), Clock()
        reader = WorkersReader(api, make_state(), 30.0, clock)
        for clock.now in (0.0, 30.0, 3_599.0):
            reader.read()
        assert api.questions == 1
        clock.now = 3_600.0
        reader.read()
        assert api.questions == 2

    def test_a_visibility_timeout_that_is_not_configured_is_absent(self) -> None:
        tables = read_workers(FakeCelery(workers=[ONE], transport_options={}), make_state())
        assert get(tables, celery.VISIBILITY_TIMEOUT) == {}

    def test_an_answer_that_does_not_come_leaves_the_visibility_timeout(self) -> None:
        api, clock = FakeCelery(workers=[ONE]), Clock()
        reader = WorkersReader(api, make_state(), 30.0, clock)
        reader.read()
        api.transport_options = None
        clock.now = 3_600.0
        assert get(reader.read().tables, celery.VISIBILITY_TIMEOUT) == {(): 21_600.0}
        api.transport_options = {"visibility_timeout": 60}
        clock.now = 3_630.0
        assert get(reader.read().tables, celery.VISIBILITY_TIMEOUT) == {(): 60.0}
