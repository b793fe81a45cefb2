"""MySQL's dialect with plain rows; the real ones are in tests/integration/database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from exporter.metrics.catalogue import database
from exporter.sources.database.models import LockWait, ServerIdentity
from exporter.sources.database.mysql import MariaDb, MySql, build_session, explain
from exporter.sources.database.mysql_locks import MetadataLock, find_holders, guess_holders
from exporter.sources.database.mysql_tables import encode_name, group_indices

SETTINGS = [(151, 1, "8.0.36-0ubuntu0")]
SCHEDULER = (7, "airflow-scheduler", "airflow", 1, "Sleep", "10.0.0.5:4711", 90, "", 1000.5, 2000.0, 0)
WAITING = (8, "", "airflow", 1, "Query", "localhost", 30, "Waiting for table metadata lock", None, 2000.0, 0)
DUMP = (9, "", "replica", None, "Binlog Dump", "10.0.0.9:1", 9_000, "", None, 2000.0, 0)


class Rows:
    """Answers statements from a table of rows by a part of their text."""

    def __init__(self, rows: Mapping[str, Sequence[Any]]) -> None:
        self._rows = rows
        self.statements: list[str] = []

    def __call__(self, statement: str, **_parameters: Any) -> Sequence[Any]:
        self.statements.append(statement)
        return next((rows for part, rows in self._rows.items() if part in statement), [])


def test_a_session_that_is_idle_in_a_transaction() -> None:
    session = build_session(SCHEDULER)
    assert (session.address, session.port, session.state) == ("10.0.0.5", 4711, "idle_in_transaction")
    assert (session.transaction_at, session.idle_at) == (1000.5, 1910.0)
    assert session.is_own_database


def test_what_is_not_a_client() -> None:
    assert not build_session(DUMP).is_client
    assert build_session(WAITING).address == ""
    assert build_session(WAITING).state == "active"


def test_sessions_and_locks_of_mysql() -> None:
    waits = [(8, 7, 1990.0, "dag_run"), (8, 6, 1990.0, "dag_run")]
    run = Rows({"@@max_connections": SETTINGS, "processlist": [SCHEDULER, DUMP], "data_lock_waits": waits})
    reading = MySql().read_sessions(run)
    assert reading.limit == 151
    assert reading.waits == [LockWait(8, (7, 6), 1990.0, "dag_run")]
    assert any("session_connect_attrs" in one for one in run.statements)


def test_without_the_performance_schema_names_and_row_locks_are_unknown() -> None:
    off = [(151, 0, "8.0.36")]
    run = Rows({"@@max_connections": off, "processlist": [WAITING]})
    reading = MySql().read_sessions(run)
    assert reading.waits == [LockWait(8, (), 1970.0, "")], "a lock on the definition of a table"
    assert not any("performance_schema." in one for one in run.statements)
    assert MySql().read_statements(Rows({"@@max_connections": off})) is None


def test_a_server_is_known_by_its_host_port_and_ids() -> None:
    rows = [("server_id", "1"), ("hostname", "db-0"), ("port", "3306")]
    found = MariaDb().read_identity(Rows({"SHOW GLOBAL VARIABLES": rows, "'Uptime'": [("Uptime", "90")]}))
    assert found == ServerIdentity("hostname=db-0 port=3306 server_id=1", uptime=90.0)


def test_mariadb_names_the_table_with_its_database() -> None:
    waits = [(8, 7, None, "`airflow`.`slot_pool`")]
    run = Rows({"@@max_connections": SETTINGS, "processlist": [], "innodb_lock_waits": waits})
    assert MariaDb().read_sessions(run).waits == [LockWait(8, (7,), None, "slot_pool")]


def test_the_server_of_mysql_counts_deadlocks_among_its_metrics() -> None:
    status = [
        ("Uptime", "100"),
        ("Com_commit", "7"),
        ("Com_rollback", "2"),
        ("Innodb_buffer_pool_read_requests", "50"),
        ("Innodb_buffer_pool_reads", "5"),
        ("Created_tmp_disk_tables", "1"),
    ]
    rows: dict[str, Sequence[Any]] = {
        "SHOW GLOBAL STATUS": status,
        "lock_deadlocks": [(3,)],
        "SELECT database()": [("airflow",)],
        "tablestats": [("log", 32_768, 16_384, 10), ("job", 0, 0, 0)],
        "Binlog Dump": [(2,)],
        "@@max_connections": SETTINGS,
        "SELECT UNIX_TIMESTAMP": [(5000.0,)],
    }
    run = Rows(rows)
    reading = MySql().read_server(run)
    assert reading.version == "8.0.36"
    assert reading.values == {
        database.SERVER_START: 4900,
        database.SIZE: 49_152,
        database.COMMITS: 7,
        database.ROLLBACKS: 2,
        database.DEADLOCKS: 3,
        database.CACHE_HITS: 45,
        database.CACHE_MISSES: 5,
        database.TEMPORARY_FILES: 1,
        database.REPLICAS: 2,
    }

    for none in ([], [("log", 0, 0, 0)]):
        rows["tablestats"] = none
        assert MySql().read_server(run).values[database.SIZE] is None, "nothing is known: not a database of 0 bytes"


def test_a_table_that_nothing_has_used_since_the_server_started() -> None:
    stats = [("log", 32_768, 16_384, 10), ("job", 0, 0, 0)]
    run = Rows({"tablestats": stats, "@@max_connections": [(151, 0, "8.0.36")], "SELECT database()": [("airflow",)]})
    reading = MySql().read_tables(run)
    assert reading.values[database.TABLE_BYTES] == {"log": 32_768}
    assert reading.values[database.LIVE_ROWS] == {"log": 10}
    assert reading.unused == ["job"]


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("airflow_2", "airflow_2"),
        ("airflow-prod", "airflow@002dprod"),
        ("a@b.c %", "a@0040b@002ec@0020@0025"),
        ("", ""),
    ],
)
def test_a_database_is_a_folder_whose_name_has_codes(name: str, folder: str) -> None:
    assert encode_name(name) == folder


def test_indices_keep_the_order_of_their_columns() -> None:
    rows = [("log", 1, "id"), ("log", 2, "dag_id"), ("log", 2, "run_id"), ("job", 3, "id")]
    assert group_indices(rows) == {"log": [("id",), ("dag_id", "run_id")], "job": [("id",)]}


class Plan:
    """A row of EXPLAIN."""

    def __init__(self, **columns: Any) -> None:
        self._mapping = columns


@pytest.mark.parametrize(
    ("plan", "rows"),
    [
        (Plan(possible_keys="idx_log_dttm", rows=900, filtered=50.0), 450.0),
        (Plan(possible_keys="idx_log_dttm", rows=900), 900.0),
        (Plan(possible_keys=None, rows=900, filtered=33.33), None),
        (Plan(possible_keys="idx_log_dttm", rows=None), None),
    ],
)
def test_an_estimate_without_an_index_would_be_a_guess(plan: Plan, rows: float | None) -> None:
    assert explain(Rows({"EXPLAIN": [plan]}), "log", "dttm", "2026-01-01") == rows


HOLDER = MetadataLock(7, "job", "SHARED_READ", is_granted=True)
OTHER = MetadataLock(6, "log", "EXCLUSIVE", is_granted=True)
ALTER = MetadataLock(8, "job", "EXCLUSIVE", is_granted=False)
READ = MetadataLock(9, "job", "SHARED_READ", is_granted=False)


@pytest.mark.parametrize(
    ("locks", "holders"),
    [
        ([HOLDER, OTHER, ALTER], {8: ((7,), "job")}),
        ([HOLDER, ALTER, READ], {8: ((7,), "job"), 9: ((8,), "job")}),
        ([OTHER, READ._replace(table="log")], {9: ((6,), "log")}),
        ([HOLDER, READ], {9: ((), "job")}),
        ([HOLDER._replace(type="SHARED_NO_WRITE"), READ._replace(type="SHARED_WRITE")], {9: ((7,), "job")}),
        ([HOLDER._replace(type="SHARED_WRITE"), READ._replace(type="SHARED_HIGH_PRIO")], {9: ((), "job")}),
    ],
)
def test_who_holds_a_metadata_lock(locks: list[MetadataLock], holders: dict[int, tuple[tuple[int, ...], str]]) -> None:
    assert find_holders(locks) == holders


def test_where_only_held_locks_are_known_those_who_do_not_wait_come_first() -> None:
    rows = [(8, 7, "job"), (9, 8, "job"), (9, 7, "job"), (9, 5, "log")]
    assert guess_holders(rows, [8, 9]) == {8: ((7,), "job"), 9: ((7, 8), "job")}


def test_where_no_statement_is_new_no_text_is_asked_for() -> None:
    run = Rows({})
    assert MySql().read_texts(run, set()) == {}
    assert run.statements == []
