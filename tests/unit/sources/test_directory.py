"""What sources know of ids outlasts a list that is short for a moment."""

from __future__ import annotations

from collections.abc import Iterator

from exporter.diagnosis.waits.database import BlockedSessions, DatabaseFacts
from exporter.sources.directory import DAG_LIFETIME, MAX_DATABASE_AGE, MAX_SHARES, MAX_TRIES, Directory


def test_a_dag_and_its_tasks_are_known_for_a_day_after_the_last_list_that_had_it() -> None:
    now = [0.0]
    directory = Directory(lambda: now[0])
    directory.set_dags(["etl.eu", "etl"])
    directory.record_try("etl.eu", "load.all")
    spelling = directory.revision
    now[0] += DAG_LIFETIME - 60.0
    directory.set_dags([])
    assert directory.dag_ids == frozenset({"etl.eu", "etl"})
    assert directory.has_task("etl.eu", "load.all")
    assert directory.revision == spelling
    now[0] += 60.0
    directory.set_dags(["etl"])
    assert directory.dag_ids == frozenset({"etl"})
    assert not directory.has_task("etl.eu", "load.all")
    assert directory.revision > spelling


def test_a_try_that_is_seen_again_and_again_outlasts_those_that_ended() -> None:
    directory = Directory()
    for number in range(MAX_TRIES + 1):
        directory.record_try("d", "long", "runs on")
        directory.record_try("d", "short", str(number))
    assert directory.find_try("runs on") is not None
    assert directory.find_try("0") is None
    assert directory.find_try(str(MAX_TRIES)) is not None


def test_a_lock_is_named_at_once_though_airflow_gives_no_new_reading() -> None:
    now = [0.0]
    directory = Directory(lambda: now[0])
    assert Directory().diagnosis is None
    lock = BlockedSessions("scheduler", "other_application", "task_instance", 1, since=60.0)
    directory.record_database(DatabaseFacts(90.0, connections=20, limit=100.0, blocked=[lock]))
    diagnosis = directory.diagnosis
    assert diagnosis is not None
    assert diagnosis.time == 90.0
    assert [(one.reason.name, one.object, one.since) for one in diagnosis.findings] == [
        ("database", "task_instance", 60.0)
    ]
    directory.record_findings(80.0, diagnosis.findings)
    again = directory.diagnosis
    assert again is not None
    assert len(again.findings) == 1
    now[0] += MAX_DATABASE_AGE + 1
    directory.record_findings(180.0, [])
    ended = directory.diagnosis
    assert ended is not None
    assert ended.findings == []


class TakenFrom(dict[str, float]):
    """Another thread takes an entry as soon as it is walked."""

    def __iter__(self) -> Iterator[str]:
        for number, key in enumerate(super().__iter__()):
            if not number:
                self.pop(key)
            yield key


def test_the_cpu_of_tries_is_recorded_while_another_thread_takes_it() -> None:
    directory = Directory()
    directory._try_cpu = TakenFrom((str(number), 1.0) for number in range(MAX_SHARES))
    directory.record_try_cpu("new", 2.0)
    assert directory.take_try_cpu("new") == 2.0
    assert directory.take_try_cpu("0") is None
    assert directory.take_try_cpu(str(MAX_SHARES - 1)) == 1.0
