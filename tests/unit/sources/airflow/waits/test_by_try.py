"""Seconds that a try waited, by reason: from reading to reading, up to its start, and for the retry after it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exporter.diagnosis.reasons import POOL, RETRY_DELAY, STARTING, TRIGGER, Reason
from exporter.sources.airflow.counting.decision import EndedTry, TryOutcome
from exporter.sources.airflow.waits import by_try
from exporter.sources.airflow.waits.by_try import TryWaits
from tests.unit.sources.airflow.counting.task_rows import make_row


class Watch:
    """Readings every 30 s; the first at 1000."""

    def __init__(self) -> None:
        self.waits = TryWaits()
        self.now = 1000.0
        self.waits.note([], [], self.now)

    def read(self, *waiting: tuple[Any, Reason], ended: tuple[EndedTry, ...] = (), seconds: float = 30.0) -> None:
        self.now += seconds
        self.waits.note(waiting, ended, self.now)

    def find(self, number: int = 1) -> Mapping[str, float] | None:
        return self.waits.find(make_row("success", number))


def scheduled(when: float = 1010.0, **changes: Any) -> Any:
    return make_row("scheduled", scheduled_when=when, queued_when=None, start_date=None, end_date=None, **changes)


def queued(when: float, **changes: Any) -> Any:
    return make_row("queued", queued_when=when, start_date=None, end_date=None, **changes)


def end(outcome: TryOutcome = TryOutcome.SUCCESS, number: int = 1, **changes: Any) -> EndedTry:
    return EndedTry(make_row("success", number, **changes), outcome)


def test_all_of_a_wait_has_a_reason() -> None:
    watch = Watch()
    watch.read((scheduled(), POOL))
    watch.read((scheduled(), POOL))
    watch.read((queued(1070.0), STARTING))
    watch.read(ended=(end(scheduled_when=1010.0, queued_when=1070.0, start_date=1095.0, end_date=1110.0),))
    assert watch.find() == {"pool": 60.0, "starting": 25.0}


def test_a_wait_between_two_readings_has_no_reason() -> None:
    watch = Watch()
    watch.read(ended=(end(scheduled_when=1010.0, start_date=1012.0, end_date=1015.0),))
    assert watch.find() == {}


def test_a_wait_that_began_before_the_exporter_is_not_known() -> None:
    watch = Watch()
    watch.read((scheduled(900.0), POOL))
    watch.read(ended=(end(scheduled_when=900.0, start_date=1050.0, end_date=1055.0),))
    assert watch.find() is None


def test_on_airflow_2_what_waited_at_the_first_reading_is_not_known_whole() -> None:
    watch = Watch()
    watch.waits = TryWaits()
    row = make_row("scheduled", scheduled_when=None, queued_when=None, start_date=None, end_date=None)
    watch.read((row, POOL))
    watch.read((row, POOL))
    watch.read(ended=(end(scheduled_when=None, queued_when=1080.0, start_date=1082.0, end_date=1085.0),))
    assert watch.find() is None


def test_a_retry_has_the_wait_for_it_and_the_try_before_has_not() -> None:
    watch = Watch()
    watch.read((scheduled(), POOL))
    first = end(TryOutcome.RETRIED, scheduled_when=1010.0, start_date=1035.0, end_date=1040.0)
    retrying = make_row("up_for_retry", 1, end_date=1040.0)
    watch.read((retrying, RETRY_DELAY), ended=(first,))
    watch.read((retrying, RETRY_DELAY))
    watch.read(ended=(end(number=2, scheduled_when=1100.0, start_date=1101.0, end_date=1110.0),))
    assert watch.find(1) == {"pool": 25.0}
    assert watch.find(2) == {"retry_delay": 61.0}


def test_time_in_which_a_task_runs_is_no_wait() -> None:
    watch = Watch()
    deferred = make_row("deferred", start_date=1011.0, end_date=None, trigger_created=1075.0)
    watch.read((queued(1020.0), STARTING))
    watch.read()
    watch.read((deferred, TRIGGER))
    watch.read(ended=(end(scheduled_when=1010.0, start_date=1011.0, end_date=1100.0),))
    assert watch.find() == {"starting": 10.0, "trigger": 15.0}


def test_what_is_kept_is_bounded(monkeypatch: Any) -> None:
    monkeypatch.setattr(by_try, "MAX_WAITING", 3)
    monkeypatch.setattr(by_try, "MAX_ENDED", 2)
    watch = Watch()
    watch.read(*((scheduled(task_id=f"t{number}"), POOL) for number in range(5)))
    watch.read(ended=tuple(end(task_id=f"t{number}", scheduled_when=1010.0, start_date=1040.0) for number in range(5)))
    found = [watch.waits.find(make_row("success", task_id=f"t{number}")) for number in range(5)]
    assert found == [None, None, None, {"pool": 30.0}, {"pool": 30.0}]
